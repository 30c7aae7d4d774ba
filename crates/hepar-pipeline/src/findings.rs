//! What a label volume says about the patient.

use std::fmt;

use hepar_volume::{Reorientation, Volume, VoxelBox};
use ndarray::Zip;

use crate::error::{GridMismatch, check_same_grid};
use crate::intensity::Intensity;
use crate::lesions::{LEAST_CONFIDENCE, Lesion, lesions_of};
use crate::probability_map::ProbabilityMap;

/// How far a scan goes through the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LastStage {
    /// The liver only.
    Liver,
    /// Liver and tumours.
    Tumour,
}

/// The thickest slices, in millimetres, on which RECIST 1.1 measures lesions of 10 mm.
const THICKEST_SLICE: f64 = 5.0;

/// The mean of a liver outside of tumours, in Hounsfield units, below which it can hardly hold contrast agent: livers
/// without fat have 64 ± 3 HU before it is given (Kodama et al., AJR 188 (2007), 1307–1312).
const LEAST_WITH_CONTRAST: f64 = 75.0;

/// Means of a liver outside of tumours, in Hounsfield units, that neither fat nor contrast agent explains.
const USUAL_MEANS: std::ops::RangeInclusive<f64> = -20.0..=220.0;

/// What was found in a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// Whether there is a liver, and tumours in it.
    pub outcome: Outcome,
    /// Volume of the liver with its tumours (label ≥ 1), in millilitres.
    pub liver_ml: f64,
    /// Volume of all tumours (label 2), in millilitres.
    pub tumour_ml: f64,
    /// Share of the liver that is tumour, 0..=1; `None` without a liver or when tumours were not looked for.
    pub burden: Option<f64>,
    /// Mean of the liver outside tumours (label 1), in Hounsfield units; `None` when there is none.
    pub parenchyma_mean_hu: Option<f64>,
    /// Standard deviation (of the population) of the same voxels, in Hounsfield units.
    pub parenchyma_sd_hu: Option<f64>,
    /// The tumours one by one, the largest first.
    pub lesions: Vec<Lesion>,
    /// The smallest box around the liver, in indices of the volume as it is stored.
    pub liver_box: Option<VoxelBox>,
    /// What a reader of these findings should know.
    pub cautions: Vec<Caution>,
}

/// What a scan holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No liver; tumours were not looked for.
    NoLiver,
    /// A liver; tumours were not looked for.
    LiverOnly,
    /// A liver in which no tumour was found.
    NoTumour,
    /// A liver with tumours.
    Tumours,
}

/// Something that makes findings less certain.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Caution {
    /// The liver reaches the edge of the scan and may go on beyond it, so that volumes are too small.
    LiverCut(Side),
    /// Slices, whether axial, coronal or sagittal, lie further apart than 5 mm (the thickest that RECIST 1.1 measures on):
    /// small lesions may lie between.
    ThickSlices {
        /// The greatest distance of neighbouring slices, in millimetres.
        mm: f64,
    },
    /// The liver is no brighter than without contrast agent: tumours stand out less.
    NoContrast {
        /// Mean of the liver outside of tumours, in Hounsfield units.
        mean_hu: f64,
    },
    /// The liver has intensities that no liver has: what was found may be something else, or the scan is not in
    /// Hounsfield units.
    UnusualIntensity {
        /// Mean of the liver outside of tumours, in Hounsfield units.
        mean_hu: f64,
    },
    /// Lesions share a face with what is outside of the liver.
    LesionsAtBorder {
        /// How many of them.
        lesions: usize,
    },
    /// The network is little sure of lesions: their mean probability is below 0.65.
    DoubtfulLesions {
        /// How many of them.
        lesions: usize,
    },
    /// What the networks took for tumours are thin sheets along the liver's border, where it borders on something darker
    /// ([`Stage::sheet`](hepar_model::stage::Stage::sheet)): they are not labelled as tumours.
    Sheets {
        /// How many sheets.
        sheets: usize,
        /// Their volume together, in millilitres.
        ml: f64,
    },
    /// What the networks took for tumours borders for the greater part on other things than the liver, and is smaller than
    /// the liver is without tumours ([`Stage::greatest_exposure`](hepar_model::stage::Stage::greatest_exposure)): it is
    /// labelled neither liver nor tumour.
    MassesBeside {
        /// How many masses.
        masses: usize,
        /// Their volume together, in millilitres.
        ml: f64,
        /// Volume of what hung on the liver by them alone and is not labelled either, in millilitres.
        hanging_ml: f64,
        /// How many lesions were in it.
        hanging_lesions: usize,
    },
}

/// A side of the scan, named by where it lies in the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Towards the feet.
    Inferior,
    /// Towards the head.
    Superior,
    /// Towards the belly.
    Anterior,
    /// Towards the back.
    Posterior,
    /// The patient's right.
    Right,
    /// The patient's left.
    Left,
}

impl fmt::Display for Caution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LiverCut(side) => {
                write!(
                    f,
                    "the liver reaches the {side} edge of the scan and may go on beyond it; volumes may be too small"
                )
            }
            Self::ThickSlices { mm } => {
                write!(f, "slices are {mm:.1} mm apart (more than {THICKEST_SLICE} mm); small lesions may be missed")
            }
            Self::NoContrast { mean_hu } => write!(
                f,
                "the liver is dark (mean {mean_hu:.0} HU): without contrast agent, or in a fatty liver, tumours stand \
                 out less and may be missed"
            ),
            Self::UnusualIntensity { mean_hu } => write!(
                f,
                "what was found has a mean of {mean_hu:.0} HU, which no liver has: it may be something else, or the \
                 scan is not in Hounsfield units"
            ),
            Self::LesionsAtBorder { lesions } => {
                let subject =
                    if *lesions == 1 { "1 lesion touches".to_owned() } else { format!("{lesions} lesions touch") };
                write!(f, "{subject} the border of the liver and may belong to something beside it")
            }
            Self::Sheets { sheets, ml } => {
                let (subject, is) = if *sheets == 1 {
                    ("1 thin sheet".to_owned(), "is")
                } else {
                    (format!("{sheets} thin sheets"), "are")
                };
                write!(
                    f,
                    "{subject} ({ml:.1} ml) along the border of the liver, where it borders on something darker, looked like \
                     tumour and {is} not labelled so"
                )
            }
            Self::MassesBeside { masses: 1, ml, hanging_ml, hanging_lesions } => {
                write!(
                    f,
                    "1 mass ({ml:.1} ml) borders on the liver too little to be a part of it and is not labelled"
                )?;
                write_hanging(f, "it", *hanging_ml, *hanging_lesions)
            }
            Self::MassesBeside { masses, ml, hanging_ml, hanging_lesions } => {
                write!(
                    f,
                    "{masses} masses ({ml:.1} ml) border on the liver too little to be parts of it and are not labelled"
                )?;
                write_hanging(f, "them", *hanging_ml, *hanging_lesions)
            }
            Self::DoubtfulLesions { lesions } => {
                let subject = if *lesions == 1 { "1 lesion is".to_owned() } else { format!("{lesions} lesions are") };
                write!(f, "{subject} doubtful: the network's mean probability there is below {LEAST_CONFIDENCE}")
            }
        }
    }
}

/// Goes on with what hung on the liver by masses alone, if that is any.
fn write_hanging(f: &mut fmt::Formatter<'_>, them: &str, ml: f64, lesions: usize) -> fmt::Result {
    // Specks would be 0.0 ml.
    if ml < 0.05 && lesions == 0 {
        return Ok(());
    }
    write!(f, ", nor is what hung on the liver by {them} alone ({ml:.1} ml")?;
    match lesions {
        0 => f.write_str(")"),
        1 => f.write_str(" with 1 lesion)"),
        _ => write!(f, " with {lesions} lesions)"),
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inferior => "inferior",
            Self::Superior => "superior",
            Self::Anterior => "anterior",
            Self::Posterior => "posterior",
            Self::Right => "right",
            Self::Left => "left",
        })
    }
}

/// What `labels` (0 background, 1 liver, 2 tumour) say about the patient whose `scan`, in Hounsfield units, has the
/// same grid.
///
/// `last` says whether tumours were looked for; where labels show one, someone did. Any orientation will do.
///
/// # Errors
/// When the two are not on the same grid.
pub fn describe(labels: &Volume<u8>, scan: &Volume<i16>, last: LastStage) -> Result<Findings, GridMismatch> {
    check_same_grid(scan.geometry(), labels.geometry())?;
    Ok(findings_of(labels, scan, last, None))
}

/// As [`describe`], for volumes that are known to share a grid, and with the `tumour` stage's probabilities if there are
/// any.
pub(crate) fn findings_of(
    labels: &Volume<u8>,
    scan: &Volume<i16>,
    last: LastStage,
    tumour: Option<&ProbabilityMap>,
) -> Findings {
    let liver_box = VoxelBox::around(labels.data(), |&label| label >= 1);
    let (mut parenchyma, mut liver_voxels, mut tumour_voxels) = (Intensity::default(), 0usize, 0usize);
    Zip::from(labels.data()).and(scan.data()).for_each(|&label, &hu| {
        liver_voxels += usize::from(label >= 1);
        tumour_voxels += usize::from(label == 2);
        if label == 1 {
            parenchyma.add(hu);
        }
    });
    let ml = |voxels: usize| voxels as f64 * labels.geometry().voxel_volume() / 1000.0;
    let outcome = match (liver_voxels, tumour_voxels, last) {
        (0, ..) => Outcome::NoLiver,
        (_, 0, LastStage::Liver) => Outcome::LiverOnly,
        (_, 0, LastStage::Tumour) => Outcome::NoTumour,
        (_, 1.., _) => Outcome::Tumours,
    };
    let looked_for_tumours = matches!(outcome, Outcome::NoTumour | Outcome::Tumours);
    let mean_hu = (parenchyma.count() > 0).then(|| parenchyma.mean());
    let lesions = lesions_of(labels, scan, tumour);
    let mut cautions = cautions_of_grid(labels, liver_box);
    cautions.extend(mean_hu.and_then(caution_of_intensity));
    cautions.extend(cautions_of_lesions(&lesions));
    Findings {
        outcome,
        liver_ml: ml(liver_voxels),
        tumour_ml: ml(tumour_voxels),
        burden: looked_for_tumours.then(|| tumour_voxels as f64 / liver_voxels as f64),
        parenchyma_mean_hu: mean_hu,
        parenchyma_sd_hu: mean_hu.map(|_| parenchyma.sd()),
        lesions,
        liver_box,
        cautions,
    }
}

impl Findings {
    /// Says how sure the network was of each lesion, the largest first, and what follows from it.
    ///
    /// Nothing changes when there are not as many confidences as lesions: they belong to other labels.
    pub fn set_confidences(&mut self, confidences: &[Option<f64>]) {
        if confidences.len() != self.lesions.len() {
            return;
        }
        for (lesion, confidence) in self.lesions.iter_mut().zip(confidences) {
            lesion.confidence = *confidence;
        }
        let of_lesions =
            |caution: &Caution| matches!(caution, Caution::LesionsAtBorder { .. } | Caution::DoubtfulLesions { .. });
        self.cautions.retain(|caution| !of_lesions(caution));
        self.cautions.extend(cautions_of_lesions(&self.lesions));
    }
}

fn caution_of_intensity(mean_hu: f64) -> Option<Caution> {
    if !USUAL_MEANS.contains(&mean_hu) {
        Some(Caution::UnusualIntensity { mean_hu })
    } else {
        (mean_hu < LEAST_WITH_CONTRAST).then_some(Caution::NoContrast { mean_hu })
    }
}

fn cautions_of_lesions(lesions: &[Lesion]) -> Vec<Caution> {
    let at_border = lesions.iter().filter(|lesion| lesion.at_border).count();
    let doubtful = lesions.iter().filter(|lesion| lesion.is_doubtful()).count();
    let at_border = (at_border > 0).then_some(Caution::LesionsAtBorder { lesions: at_border });
    let doubtful = (doubtful > 0).then_some(Caution::DoubtfulLesions { lesions: doubtful });
    at_border.into_iter().chain(doubtful).collect()
}

fn cautions_of_grid(labels: &Volume<u8>, liver_box: Option<VoxelBox>) -> Vec<Caution> {
    let to_canonical = Reorientation::to_canonical(labels.geometry());
    let canonical = to_canonical.geometry(labels.geometry());
    let mut cautions = Vec::new();
    if let Some(bounds) = liver_box {
        let liver = to_canonical.voxel_box(&bounds, labels.shape());
        let sides = [(Side::Inferior, Side::Superior), (Side::Anterior, Side::Posterior), (Side::Right, Side::Left)];
        for (axis, (low, high)) in sides.into_iter().enumerate() {
            if liver.start()[axis] == 0 {
                cautions.push(Caution::LiverCut(low));
            }
            if liver.end()[axis] == canonical.shape()[axis] {
                cautions.push(Caution::LiverCut(high));
            }
        }
    }
    let mm = canonical.spacing().into_iter().fold(0.0, f64::max);
    // Spacings stored as f32 are a little off.
    if mm > THICKEST_SLICE + 1e-3 {
        cautions.push(Caution::ThickSlices { mm });
    }
    cautions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::cut;
    use hepar_volume::Geometry;

    fn labels(spacing: [f64; 3]) -> Volume<u8> {
        // Axes i, j, k along +x, +y, +z: i runs from the patient's left to the right.
        let mut labels = Volume::filled(Geometry::axis_aligned([10, 20, 30], spacing).unwrap(), 0);
        labels.data_mut().slice_each_axis_mut(cut([2, 5, 20], [6, 15, 30])).fill(1);
        labels
    }

    #[test]
    fn volumes_and_burden_count_the_tumour_as_liver() {
        let mut labels = labels([2.0, 1.0, 1.0]);
        let scan = labels.map(|&label| i16::from(label) * 70);
        labels.data_mut().slice_each_axis_mut(cut([3, 6, 22], [5, 11, 27])).fill(2);
        let findings = describe(&labels, &scan, LastStage::Tumour).unwrap();
        assert_eq!(findings.outcome, Outcome::Tumours);
        assert!((findings.liver_ml - 0.8).abs() < 1e-12 && (findings.tumour_ml - 0.1).abs() < 1e-12);
        assert_eq!(findings.burden, Some(0.125));
        assert_eq!((findings.parenchyma_mean_hu, findings.parenchyma_sd_hu), (Some(70.0), Some(0.0)));
        assert_eq!(findings.lesions.len(), 1);
        assert_eq!(findings.liver_box, VoxelBox::new([2, 5, 20], [6, 15, 30]));
        assert_eq!(findings.cautions, [Caution::LiverCut(Side::Right), Caution::NoContrast { mean_hu: 70.0 }]);
    }

    #[test]
    fn what_makes_findings_doubtful_is_said() {
        let labels = labels([5.0, 1.0, 1.0]);
        let cautions = |labels: &Volume<u8>, hu: i16| {
            describe(labels, &labels.map(|_| hu), LastStage::Tumour).unwrap().cautions.split_off(1)
        };
        assert_eq!(cautions(&labels, 100), []);
        assert_eq!(cautions(&labels, 50), [Caution::NoContrast { mean_hu: 50.0 }]);
        assert_eq!(cautions(&labels, -300), [Caution::UnusualIntensity { mean_hu: -300.0 }]);
        assert_eq!(cautions(&labels, 400), [Caution::UnusualIntensity { mean_hu: 400.0 }]);
        let mut at_border = labels.clone();
        at_border.data_mut()[[3, 5, 22]] = 2;
        assert_eq!(cautions(&at_border, 100), [Caution::LesionsAtBorder { lesions: 1 }]);
        let text = Caution::LesionsAtBorder { lesions: 1 }.to_string();
        assert_eq!(text, "1 lesion touches the border of the liver and may belong to something beside it");
        let text = Caution::Sheets { sheets: 2, ml: 3.96 }.to_string();
        assert!(text.starts_with("2 thin sheets (4.0 ml) along the border of the liver"), "{text}");
        let mass = "1 mass (5.2 ml) borders on the liver too little to be a part of it and is not labelled";
        let hanging = |masses: usize, hanging_ml: f64, hanging_lesions: usize| {
            Caution::MassesBeside { masses, ml: 5.24, hanging_ml, hanging_lesions }.to_string()
        };
        assert_eq!([hanging(1, 0.0, 0), hanging(1, 0.01, 0)], [mass, mass]);
        let text = format!("{mass}, nor is what hung on the liver by it alone (3.1 ml with 1 lesion)");
        assert_eq!(hanging(1, 3.07, 1), text);
        assert!(hanging(2, 3.07, 0).ends_with("labelled, nor is what hung on the liver by them alone (3.1 ml)"));
        assert!(hanging(2, 0.01, 2).ends_with("by them alone (0.0 ml with 2 lesions)"));
        let text = Caution::DoubtfulLesions { lesions: 2 }.to_string();
        assert_eq!(text, "2 lesions are doubtful: the network's mean probability there is below 0.65");
    }

    #[test]
    fn thick_slices_are_said_of_in_any_orientation() {
        for (axis, spacing) in [[8.0, 1.0, 1.0], [1.0, 8.0, 1.0], [1.0, 1.0, 8.0]].into_iter().enumerate() {
            let labels = labels(spacing);
            let cautions = describe(&labels, &labels.map(|_| 100), LastStage::Tumour).unwrap().cautions;
            assert!(cautions.contains(&Caution::ThickSlices { mm: 8.0 }), "axis {axis}: {cautions:?}");
        }
    }

    #[test]
    fn lesions_of_little_confidence_are_doubtful() {
        let mut labels = labels([5.0, 1.0, 1.0]);
        labels.data_mut()[[4, 8, 25]] = 2;
        labels.data_mut()[[3, 5, 22]] = 2;
        let mut findings = describe(&labels, &labels.map(|_| 100), LastStage::Tumour).unwrap();
        let before = findings.cautions.clone();
        assert_eq!(before.last(), Some(&Caution::LesionsAtBorder { lesions: 1 }));
        findings.set_confidences(&[Some(0.65), Some(0.6)]);
        assert_eq!(findings.cautions[..before.len()], before);
        assert_eq!(findings.cautions[before.len()..], [Caution::DoubtfulLesions { lesions: 1 }]);
        assert_eq!(findings.lesions.iter().map(Lesion::is_doubtful).collect::<Vec<_>>(), [false, true]);
        findings.set_confidences(&[Some(0.1)]);
        assert_eq!(findings.lesions[0].confidence, Some(0.65), "they belong to other labels");
        findings.set_confidences(&[None, None]);
        assert_eq!(findings.cautions, before);
    }

    #[test]
    fn an_empty_label_volume_is_no_liver() {
        let labels = labels([7.0, 1.0, 1.0]).map(|_| 0);
        let findings = describe(&labels, &labels.map(|_| 0), LastStage::Tumour).unwrap();
        assert_eq!((findings.outcome, findings.burden, findings.parenchyma_mean_hu), (Outcome::NoLiver, None, None));
        assert_eq!(findings.cautions, [Caution::ThickSlices { mm: 7.0 }]);
    }

    #[test]
    fn a_healthy_liver_is_told_from_one_that_was_not_searched() {
        let labels = labels([5.0, 1.0, 1.0]);
        let scan = labels.map(|_| 0);
        let searched = describe(&labels, &scan, LastStage::Tumour).unwrap();
        assert_eq!((searched.outcome, searched.burden), (Outcome::NoTumour, Some(0.0)));
        let not_searched = describe(&labels, &scan, LastStage::Liver).unwrap();
        assert_eq!((not_searched.outcome, not_searched.burden), (Outcome::LiverOnly, None));
    }
}
