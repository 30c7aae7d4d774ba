//! Files that DCMTK, GDCM, pydicom and imagecodecs have encoded: `tests/oracles/dicom_fixtures.py`.

use std::collections::BTreeMap;
use std::path::Path;

use hepar_formats::read_scan;

use crate::series::sentence;

fn golden() -> BTreeMap<String, Vec<i16>> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/dicom/golden.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
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
        if name.contains("jpeg-ls") && cfg!(not(feature = "charls")) {
            let said = sentence(&read_scan(&path).unwrap_err());
            assert!(said.contains("JPEG-LS") && said.contains("feature charls is off"), "{said}");
            continue;
        }
        let scan = read_scan(&path).unwrap_or_else(|error| panic!("{name}: {}", sentence(&error)));
        let lossy = name.contains("baseline");
        let key = if lossy { "unsigned8-jpeg-baseline" } else { name.split('-').next().unwrap() };
        let (voxels, expected) = (scan.volume.data(), &golden[key]);
        assert_eq!(voxels.len(), expected.len(), "{name}");
        // Decoders of lossy streams may round differently.
        let tolerance = if lossy { 1 } else { 0 };
        let worst = voxels.iter().zip(expected).map(|(a, b)| (a - b).abs()).max().unwrap();
        assert!(worst <= tolerance, "{name}: off by {worst}");
        read += 1;
    }
    assert!(read >= 24, "{read} files");
}
