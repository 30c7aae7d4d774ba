//! Files that DCMTK, GDCM, pydicom and imagecodecs have encoded: `tests/oracles/dicom_fixtures.py`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

use hepar_formats::read_scan;

use crate::series::sentence;

fn golden() -> BTreeMap<String, Vec<i16>> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/dicom/golden.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The file of a slice as that of the one above it, with the same pixels: one slice is no scan.
fn slice_above(name: &str, bytes: &[u8]) -> Vec<u8> {
    let is_deflated = name.ends_with("deflated");
    // The length of the meta information, which is not deflated, is its first element.
    let start = if is_deflated { 144 + u32::from_le_bytes(*bytes[140..].first_chunk().unwrap()) as usize } else { 0 };
    let (meta, rest) = bytes.split_at(start);
    let mut data = rest.to_vec();
    if is_deflated {
        data.clear();
        flate2::read::DeflateDecoder::new(rest).read_to_end(&mut data).unwrap();
    }
    let mut put = |[group, element]: [u8; 2], at: usize, byte: u8| {
        let tag = if name.contains("big-endian") { [0, group, 0, element] } else { [group, 0, element, 0] };
        let found = data.windows(4).position(|window| window == tag).unwrap();
        data[found + 8 + at] = byte;
    };
    // The first number of SOPInstanceUID, and the last of ImagePositionPatient, which is 0.0\0.0\0.0.
    put([0x08, 0x18], 0, b'2');
    put([0x20, 0x32], 8, b'1');
    if is_deflated {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&data).unwrap();
        data = encoder.finish().unwrap();
    }
    [meta, &data].concat()
}

#[test]
fn every_transfer_syntax_gives_the_hounsfield_units_that_were_encoded() {
    let (golden, mut read) = (golden(), 0);
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/dicom"));
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().unwrap() != "dcm" {
            continue;
        }
        let (bytes, series) = (std::fs::read(&path).unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(series.path().join("1.dcm"), &bytes).unwrap();
        std::fs::write(series.path().join("2.dcm"), slice_above(&name, &bytes)).unwrap();
        if name.contains("jpeg-ls") && cfg!(not(feature = "charls")) {
            let said = sentence(&read_scan(series.path()).unwrap_err());
            assert!(said.contains("JPEG-LS") && said.contains("feature charls is off"), "{said}");
            continue;
        }
        let scan = read_scan(series.path()).unwrap_or_else(|error| panic!("{name}: {}", sentence(&error)));
        let lossy = name.contains("baseline");
        let key = if lossy { "unsigned8-jpeg-baseline" } else { name.split('-').next().unwrap() };
        let (voxels, expected) = (scan.volume.data(), &golden[key]);
        assert_eq!(voxels.len(), 2 * expected.len(), "{name}");
        // Decoders of lossy streams may round differently.
        let tolerance = if lossy { 1 } else { 0 };
        let worst = voxels.iter().zip(expected.iter().chain(expected)).map(|(a, b)| (a - b).abs()).max().unwrap();
        assert!(worst <= tolerance, "{name}: off by {worst}");
        read += 1;
    }
    assert!(read >= 24, "{read} files");
}
