//! The diameters of real lesions, where the scans lie beside the project; otherwise nothing is tested.

use std::collections::BTreeMap;

use hepar::{Volume, find_lesions, read_labels, read_scan};
use hepar_volume::{Connectivity, Millimetres, Reorientation, components};

use crate::program::real;

const CASES: [&str; 14] = [
    "lits/lits000",
    "lits/lits001",
    "lits/lits002",
    "lits/lits003",
    "lits/lits004",
    "lits/lits005",
    "lits/lits006",
    "lits-sparse/lits011",
    "lits-sparse/lits015",
    "lits-sparse/lits016",
    "lits-sparse/lits018",
    "lits-sparse/lits022",
    "lits-sparse/lits048",
    "ircad/ircad19",
];

/// The longest distance of two outer corners of voxels in one slice of a component, in millimetres, by trying all pairs.
fn brute_force(labels: &Volume<u8>) -> BTreeMap<usize, f64> {
    let labels = Reorientation::to_canonical(labels.geometry()).apply(labels);
    let tumours = components(labels.map(|&label| label == 2).data(), Connectivity::Corners26).labels;
    let mut corners: BTreeMap<(u32, usize), Vec<Millimetres>> = BTreeMap::new();
    let (_, height, width) = tumours.dim();
    for ((k, j, i), &component) in tumours.indexed_iter().filter(|(_, component)| **component > 0) {
        let inside = |j: usize, i: usize| j < height && i < width && tumours[[k, j, i]] == component;
        let edge =
            !(inside(j.wrapping_sub(1), i) && inside(j + 1, i) && inside(j, i.wrapping_sub(1)) && inside(j, i + 1));
        if edge {
            let shifted = |dj: f64, di: f64| labels.geometry().to_world([k as f64, j as f64 + dj, i as f64 + di]);
            let around = [(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)].map(|(dj, di)| shifted(dj, di));
            corners.entry((component, k)).or_default().extend(around);
        }
    }
    let distance = |a: &Millimetres, b: &Millimetres| (0..3).map(|n| (a.0[n] - b.0[n]).powi(2)).sum::<f64>();
    let mut longest = BTreeMap::new();
    for ((component, _), corners) in corners {
        let squared = corners.iter().enumerate().flat_map(|(n, a)| corners[n..].iter().map(move |b| distance(a, b)));
        let length = squared.fold(0.0, f64::max).sqrt();
        let best = longest.entry(component as usize).or_insert(0.0f64);
        *best = best.max(length);
    }
    longest
}

#[test]
fn the_longest_diameter_of_every_real_lesion_is_the_one_that_trying_all_pairs_finds() {
    for case in CASES {
        let files = ["ct", "label"].map(|kind| format!("{case}_{kind}.nii.gz"));
        let Some([ct, label]) = real(files.each_ref().map(String::as_str)) else { continue };
        let (scan, labels) = (read_scan(&ct).unwrap().volume, read_labels(&label).unwrap().volume);
        let lesions = find_lesions(&labels, &scan).unwrap();
        let mut expected: Vec<f64> = brute_force(&labels).into_values().collect();
        let mut found: Vec<f64> = lesions.iter().map(|lesion| lesion.long_axis_mm).collect();
        expected.sort_by(f64::total_cmp);
        found.sort_by(f64::total_cmp);
        assert_eq!(found.len(), expected.len(), "{case}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6, "{case}: {found} mm, all pairs give {expected} mm");
        }
        println!("{case}: {} lesions", lesions.len());
    }
}
