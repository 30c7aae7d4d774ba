use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use hepar_pipeline::Side;
use hepar_volume::{Connectivity, Margin, Reach, Reorientation, Volume, VoxelBox, components};
use ndarray::ArrayView3;

use super::Finding;

/// The label of the liver outside of tumours.
const LIVER: u8 = 1;

/// The label of tumours.
const TUMOUR: u8 = 2;

/// Volumes of livers with their tumours, in millilitres, from a child's to one that disease has enlarged.
pub(super) const USUAL_ML: RangeInclusive<f64> = 500.0..=4000.0;

/// What labels say.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelFacts {
    /// How many voxels have each of the labels that there are.
    pub voxels: BTreeMap<u8, u64>,
    /// Volume of the liver with its tumours (labels 1 and 2), in millilitres.
    pub liver_ml: f64,
    /// Volume of the tumours (label 2), in millilitres.
    pub tumour_ml: f64,
    /// Number of lesions: of 26-connected components of label 2.
    pub lesions: usize,
}

impl LabelFacts {
    /// What labels say, and what is odd about them.
    pub(super) fn of(labels: &Volume<u8>) -> (Self, Vec<Finding>) {
        let voxels = counts(labels.data());
        let voxels_of = |label: u8| voxels.get(&label).copied().unwrap_or_default();
        let (liver, tumour) = (voxels_of(LIVER) + voxels_of(TUMOUR), voxels_of(TUMOUR));
        let ml = |voxels: u64| voxels as f64 * labels.geometry().voxel_volume() / 1000.0;
        let lesions = Lesions::of(labels);
        let unknown: BTreeMap<u8, u64> = voxels.range(TUMOUR + 1..).map(|(label, count)| (*label, *count)).collect();
        let mut findings = Vec::new();
        if !unknown.is_empty() {
            findings.push(Finding::UnknownLabels(unknown));
        }
        findings.extend(findings_of_liver(labels, ml(liver)));
        if lesions.apart > 0 {
            let (lesions, of, ml) = (lesions.apart, lesions.count, ml(lesions.voxels_apart));
            findings.push(Finding::LesionsApart { lesions, of, ml });
        }
        (Self { liver_ml: ml(liver), tumour_ml: ml(tumour), lesions: lesions.count, voxels }, findings)
    }
}

/// How many voxels have each of the labels that there are.
fn counts(labels: ArrayView3<'_, u8>) -> BTreeMap<u8, u64> {
    let mut counts = [0_u64; 256];
    labels.iter().for_each(|&label| counts[usize::from(label)] += 1);
    (0..=u8::MAX).zip(counts).filter(|(_, count)| *count > 0).collect()
}

/// What is odd about the liver, which measures `ml` millilitres.
fn findings_of_liver(labels: &Volume<u8>, ml: f64) -> Vec<Finding> {
    let Some(liver) = VoxelBox::around(labels.data(), |&label| matches!(label, LIVER | TUMOUR)) else {
        return vec![Finding::NoLiver];
    };
    let to_canonical = Reorientation::to_canonical(labels.geometry());
    let slices = to_canonical.geometry(labels.geometry()).shape()[0];
    let liver = to_canonical.voxel_box(&liver, labels.shape());
    let mut findings = Vec::new();
    if liver.start()[0] == 0 {
        findings.push(Finding::LiverCut(Side::Inferior));
    }
    if liver.end()[0] == slices {
        findings.push(Finding::LiverCut(Side::Superior));
    }
    if !USUAL_ML.contains(&ml) {
        findings.push(Finding::LiverVolume { ml });
    }
    findings
}

/// The lesions of a label volume.
#[derive(Default)]
struct Lesions {
    count: usize,
    /// How many share no face with label 1.
    apart: usize,
    /// Voxels of these.
    voxels_apart: u64,
}

impl Lesions {
    fn of(labels: &Volume<u8>) -> Self {
        let Some(tumours) = VoxelBox::around(labels.data(), |&label| label == TUMOUR) else { return Self::default() };
        // With the voxels around them, to see what they border on.
        let part = labels.crop(&tumours.padded(Margin([Reach::Voxels(1); 3]), labels.geometry()));
        let found = components(part.map(|&label| label == TUMOUR).data(), Connectivity::Corners26);
        let mut in_liver = vec![false; found.count()];
        for ((k, j, i), &lesion) in found.labels.indexed_iter().filter(|(_, lesion)| **lesion > 0) {
            let lesion = lesion as usize - 1;
            in_liver[lesion] = in_liver[lesion] || borders_on_liver(part.data(), [k, j, i]);
        }
        let apart = || found.sizes.iter().zip(&in_liver).filter(|(_, inside)| !**inside).map(|(size, _)| *size as u64);
        Self { count: found.count(), apart: apart().count(), voxels_apart: apart().sum() }
    }
}

/// Whether a voxel shares a face with one of label 1.
fn borders_on_liver(labels: ArrayView3<'_, u8>, voxel: [usize; 3]) -> bool {
    (0..3).any(|axis| {
        [-1, 1].into_iter().any(|step| {
            let mut neighbour = voxel;
            let Some(moved) = voxel[axis].checked_add_signed(step) else { return false };
            neighbour[axis] = moved;
            labels.get(neighbour) == Some(&LIVER)
        })
    })
}
