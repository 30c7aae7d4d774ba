//! The files of `tests/oracles/nifti_nibabel.py` read as nibabel reads them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hepar_formats::{GridHeader, inspect, read_scan, write_labels};
use hepar_volume::Volume;

#[derive(serde::Deserialize)]
struct Expected {
    affine: [[f64; 4]; 4],
    /// i, j, k.
    shape: [usize; 3],
    /// In the order of the file.
    voxels: Vec<f64>,
    orientation: String,
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(name)
}

fn cases() -> BTreeMap<String, Expected> {
    serde_json::from_slice(&std::fs::read(golden("expected.json")).unwrap()).unwrap()
}

#[test]
fn voxels_and_affines_are_those_of_nibabel() {
    let cases = cases();
    assert_eq!(cases.len(), 37);
    for (name, expected) in cases {
        let scan = read_scan(&golden(&format!("{name}.bin"))).unwrap_or_else(|e| panic!("{name}: {:?}", e.kind()));
        let [k, j, i] = scan.volume.shape();
        assert_eq!([i, j, k], expected.shape, "{name}");
        for (voxel, intensity) in scan.volume.data().iter().zip(&expected.voxels) {
            assert!((f64::from(*voxel) - intensity).abs() <= 0.5, "{name}: {voxel} for {intensity}");
        }
        assert_eq!(scan.volume.data().len(), expected.voxels.len(), "{name}");
        let affine = scan.volume.geometry().affine();
        for (ours, theirs) in affine.iter().flatten().zip(expected.affine.iter().flatten()) {
            assert!((ours - theirs).abs() < 1e-5, "{name}: {affine:?}");
        }
        assert_eq!(inspect(&golden(&format!("{name}.bin"))).unwrap().orientation, expected.orientation, "{name}");
    }
}

#[test]
fn labels_written_on_a_grid_lie_on_it_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    for (name, _) in cases() {
        let scan = read_scan(&golden(&format!("{name}.bin"))).unwrap();
        let labels = Volume::from_fn(scan.volume.geometry().clone(), |[k, j, i]| (k * 12 + j * 4 + i) as u8 % 3);
        for file in ["labels.nii", "labels.nii.gz"] {
            let path = folder.path().join(file);
            write_labels(&path, &labels, &scan.grid).unwrap();
            let back = hepar_formats::read_labels(&path).unwrap();
            assert_eq!(back.volume, labels, "{name}");
            assert_eq!(back.grid.affine_source(), scan.grid.affine_source(), "{name}");
        }
    }
}

#[test]
fn a_header_made_from_a_geometry_has_its_sform_and_its_qform() {
    for (name, expected) in cases().into_iter().filter(|(name, _)| name.starts_with("qform")) {
        let [i, j, k] = expected.shape;
        let geometry = hepar_volume::Geometry::new(expected.affine, [k, j, i]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("phantom.nii");
        let scan = Volume::from_fn(geometry.clone(), |[k, j, i]| (100 * k + 30 * j + 7 * i) as i16 - 500);
        hepar_formats::write_scan(&path, &scan, &GridHeader::from_geometry(&geometry)).unwrap();
        let back = read_scan(&path).unwrap();
        assert_eq!(back.volume.data(), scan.data(), "{name}");
        assert!(back.volume.geometry().matches(&geometry, 1e-4), "{name}");
        assert!(back.warnings.is_empty(), "{name}: {:?}", back.warnings);
        // The qform alone, the code of the sform set to 0.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[254] = 0;
        std::fs::write(&path, bytes).unwrap();
        let by_qform = read_scan(&path).unwrap();
        assert!(by_qform.volume.geometry().matches(&geometry, 1e-3), "{name}");
    }
}
