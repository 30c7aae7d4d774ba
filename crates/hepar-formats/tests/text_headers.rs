//! NRRD and MetaImage: what is written is what is read, and what others write is read too.

use std::io::Write;
use std::path::{Path, PathBuf};

use hepar_formats::{
    Datatype, GridHeader, ReadErrorKind, ScanOptions, Warning, files_of_labels, files_of_scan, inspect, read_labels,
    read_scan, write_labels, write_scan,
};
use hepar_volume::{Geometry, Volume};
use proptest::prelude::*;

fn geometry() -> Geometry {
    // Sheared and mirrored, with numbers that are not round.
    let affine =
        [[-0.7, 0.05, 0.1, 120.5], [0.03, 0.68, -0.9, -80.25], [0.1, 0.0, 2.5, 1.0 / 3.0], [0.0, 0.0, 0.0, 1.0]];
    Geometry::new(affine, [4, 5, 6]).unwrap()
}

fn saved(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

#[test]
fn scans_and_labels_come_back_with_their_grid() {
    let folder = tempfile::tempdir().unwrap();
    let scan = Volume::from_fn(geometry(), |[k, j, i]| (k * 300 + j * 40 + i) as i16 - 1000);
    let labels = Volume::from_fn(geometry(), |[k, j, i]| ((k + j * i) % 3) as u8);
    let grid = GridHeader::from_geometry(&geometry());
    for ending in ["nrrd", "mha"] {
        let (a, b) = (folder.path().join(format!("a.{ending}")), folder.path().join(format!("b.{ending}")));
        write_scan(&a, &scan, &grid).unwrap();
        write_labels(&b, &labels, &grid).unwrap();
        let back = read_scan(&a).unwrap();
        assert_eq!(back.volume.data(), scan.data());
        assert!(back.volume.geometry().matches(&geometry(), 1e-9), "{ending}");
        assert!(back.warnings.iter().all(|w| matches!(w, Warning::NotHounsfield { .. })));
        assert_eq!(read_labels(&b).unwrap().volume.data(), labels.data());
        let info = inspect(&a).unwrap();
        assert_eq!(
            (info.datatype, info.dims.as_slice(), info.description.as_str()),
            (Datatype::I16, &[6, 5, 4][..], "hepar")
        );
        assert!(info.compressed);
    }
}

#[test]
fn segments_for_3d_slicer_have_names_colours_and_codes() {
    let folder = tempfile::tempdir().unwrap();
    let labels = Volume::from_fn(geometry(), |[k, j, i]| ((k + j * i) % 3) as u8);
    let path = folder.path().join("labels.seg.nrrd");
    write_labels(&path, &labels, &GridHeader::from_geometry(&geometry())).unwrap();
    assert_eq!(read_labels(&path).unwrap().volume.data(), labels.data());
    let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    assert!(text.contains("Segment0_Name:=Liver\n") && text.contains("Segment1_Name:=Liver tumour\n"));
    assert!(text.contains("Segment1_LabelValue:=2\n") && text.contains("~SCT^10200004^Liver~"));
}

#[test]
fn nrrd_of_others_is_read() {
    let voxels: Vec<u8> = (0..12i16).flat_map(|v| (v * 100 - 1000).to_be_bytes()).collect();
    let header = "NRRD0005\n# comment\ntype: signed short\ndimension: 3\nspace: RAS\nsizes: 3 2 2\n\
                  space directions: (0.5, 0, 0) (0,0.5,0) (0,0,2)\nspace origin: (1,2,3)\nendian: big\n\
                  encoding: raw\nkey:=value\n\n";
    let (_folder, path) = saved("x.nrrd", &[header.as_bytes(), &voxels].concat());
    let scan = read_scan(&path).unwrap();
    assert_eq!(scan.volume.data()[[1, 1, 2]], 100);
    assert_eq!(scan.volume.geometry().to_world([0.0; 3]).0, [1.0, 2.0, 3.0]);
    // Apart from its voxels, which are at the end of their file.
    let detached = header.replace("\n\n", "\nbyte skip: -1\ndata file: x.raw\n");
    let (folder, path) = saved("x.nhdr", detached.as_bytes());
    assert!(matches!(read_scan(&path).unwrap_err().kind(), ReadErrorKind::DataFile { .. }));
    std::fs::write(folder.path().join("x.raw"), [&[7u8; 100][..], &voxels].concat()).unwrap();
    assert_eq!(read_scan(&path).unwrap().volume, scan.volume);
    // A header may name neither a file elsewhere, though there is one of that name here, nor several.
    for (name, problem) in [
        ("../x.raw", "is no file in the folder of the header, where it must be"),
        ("/etc/x.raw", "is no file in the folder of the header, where it must be"),
        ("LIST", "is a list of files, which is not read"),
        ("x%03d.raw 1 2 1", "is a list of files, which is not read"),
    ] {
        std::fs::write(&path, detached.replace("x.raw", name)).unwrap();
        let said = read_scan(&path).unwrap_err().kind().to_string();
        assert_eq!(said, format!("data file of its header, {name:?}, {problem}"));
    }
}

#[test]
fn metaimage_of_others_is_read() {
    let voxels: Vec<u8> = (0..12i16).flat_map(|v| (v * 100 - 1000).to_le_bytes()).collect();
    let header = |file: &str, compressed: bool| {
        format!(
            "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = {}\n\
             TransformMatrix = 0 1 0 1 0 0 0 0 1\nOffset = 1 2 3\nElementSpacing = 0.5 0.6 2\nDimSize = 3 2 2\n\
             ElementType = MET_SHORT\nElementDataFile = {file}\n",
            if compressed { "True" } else { "False" }
        )
    };
    let (_folder, path) = saved("x.mha", &[header("LOCAL", false).as_bytes(), &voxels].concat());
    let scan = read_scan(&path).unwrap();
    // i runs along y, to the back in LPS.
    assert_eq!(scan.volume.geometry().to_world([0.0, 0.0, 2.0]).0, [-1.0, -3.0, 3.0]);
    let (folder, path) = saved("x.mhd", header("x.zraw", true).as_bytes());
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(&voxels).unwrap();
    std::fs::write(folder.path().join("x.zraw"), zlib.finish().unwrap()).unwrap();
    assert_eq!(read_scan(&path).unwrap().volume, scan.volume);
    let files = files_of_scan(&path, &ScanOptions::default()).unwrap();
    assert_eq!(files, [path.clone(), folder.path().join("x.zraw")]);
    assert_eq!(files_of_labels(&path).unwrap(), files);
    std::fs::write(&path, header("./x.zraw", true)).unwrap();
    assert_eq!(read_scan(&path).unwrap().volume, scan.volume);
    std::fs::write(&path, header("../x.zraw", true)).unwrap();
    let said = read_scan(&path).unwrap_err().kind().to_string();
    assert!(said.starts_with("ElementDataFile of its header, \"../x.zraw\", is no file in the folder"), "{said}");
}

#[test]
fn a_single_slice_is_no_volume_in_any_format() {
    let folder = tempfile::tempdir().unwrap();
    let geometry = Geometry::axis_aligned([1, 5, 6], [2.0; 3]).unwrap();
    let scan = Volume::from_fn(geometry.clone(), |[_, j, i]| (j * 40 + i) as i16 - 1000);
    let labels = scan.map(|_| 1u8);
    let grid = GridHeader::from_geometry(&geometry);
    for ending in ["nii", "nrrd", "mha"] {
        let [a, b] = ["a", "b"].map(|name| folder.path().join(format!("{name}.{ending}")));
        write_scan(&a, &scan, &grid).unwrap();
        write_labels(&b, &labels, &grid).unwrap();
        let expected = "it is a single slice (6 × 5 × 1 voxels). Give the whole volume";
        assert_eq!(read_scan(&a).unwrap_err().kind().to_string(), expected, "{ending}");
        assert_eq!(read_labels(&b).unwrap_err().kind().to_string(), expected, "{ending}");
        assert_eq!(inspect(&a).unwrap().dims, [6, 5, 1], "{ending}");
    }
}

#[test]
fn the_directions_that_are_assumed_are_those_that_are_said() {
    let header = "ObjectType = Image\nNDims = 3\nDimSize = 3 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n";
    let (_folder, path) = saved("x.mha", &[header.as_bytes(), &[0; 12]].concat());
    let info = inspect(&path).unwrap();
    assert_eq!(info.orientation, "LPS");
    assert!(info.warnings[0].to_string().contains("i, j, k are taken to run left, posterior, superior"));
}

fn refused(name: &str, content: &str) -> String {
    let (_folder, path) = saved(name, content.as_bytes());
    read_scan(&path).unwrap_err().kind().to_string()
}

#[test]
fn headers_that_lie_are_refused_in_a_sentence() {
    let nrrd =
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 1000000 1000000 1000000\nendian: little\nencoding: gzip\n\n";
    assert!(refused("x.nrrd", nrrd).starts_with("the header claims 1000000 × 1000000 × 1000000 voxels, more than"));
    assert!(
        refused("x.nrrd", &nrrd.replace("gzip", "bzip2")).contains("encoding of its header, \"bzip2\", is not read")
    );
    assert!(refused("x.nrrd", &nrrd.replace("dimension: 3", "dimension: 4")).contains("is not the number of sizes"));
    assert!(refused("x.nrrd", "NRRD0004\ntype: short\n").contains("ends within the NRRD header"));
    // Added to the length of the header, this would wrap round.
    let skip = nrrd.replace("encoding: gzip", "encoding: raw\nbyte skip: 18446744073709551615");
    assert!(refused("x.nrrd", &skip).contains("leads beyond the end of the file"));
    let meta = "ObjectType = Image\nNDims = 3\nDimSize = 9 9 9\nElementType = MET_SHORT\nElementDataFile = LOCAL\n";
    assert!(refused("x.mha", meta).contains("Is the copy complete?"));
    assert!(refused("x.mha", &meta.replace("MET_SHORT", "MET_RGB")).contains("is no number type that is read"));
}

#[test]
fn names_of_no_format_are_refused() {
    let labels = Volume::filled(geometry(), 1u8);
    let grid = GridHeader::from_geometry(&geometry());
    let error = write_labels(Path::new("labels.png"), &labels, &grid).unwrap_err();
    assert_eq!(error.kind().to_string(), "the name must end in .nii, .nii.gz, .nrrd or .mha");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_header_gives_a_volume_or_a_sentence(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        nrrd: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(if nrrd { "x.nrrd" } else { "x.mha" });
        let scan = Volume::from_fn(geometry(), |[k, j, i]| (k * 300 + j * 40 + i) as i16 - 1000);
        write_scan(&path, &scan, &GridHeader::from_geometry(&geometry())).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        std::fs::write(&path, &bytes).unwrap();
        match read_scan(&path) {
            Ok(scan) => prop_assert!(scan.volume.data().len() < 1 << 20),
            Err(error) => prop_assert!(error.kind().to_string().len() > 5),
        }
    }
}
