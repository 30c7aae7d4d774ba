//! Real series, where they lie beside the project; otherwise nothing is tested.

use std::path::{Path, PathBuf};

use hepar_formats::{read_labels, read_scan};

pub fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/fixtures")).join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no {}", path.display());
    None
}

#[test]
fn a_real_series_lies_where_another_program_puts_it() {
    let Some(series) = data("totalseg/example_ct_dicom") else { return };
    let scan = read_scan(&series).unwrap();
    assert_eq!(scan.volume.shape(), [20, 512, 512]);
    // Liver and more, segmented in the same series and written as NIfTI by dcm2niix.
    let labels = read_labels(&data("totalseg/example_seg_dicom.nii.gz").unwrap()).unwrap();
    let canonical = |geometry| hepar_volume::Reorientation::to_canonical(geometry).geometry(geometry);
    let (ours, theirs) = (canonical(scan.volume.geometry()), canonical(labels.volume.geometry()));
    assert!(ours.matches(&theirs, 0.01), "{ours:?} {theirs:?}");
}
