//! One case, from its files to its scores.

use std::path::Path;

use hepar_formats::{Labels, read_labels, read_labels_truncated};
use hepar_metrics::Figure;
use hepar_metrics::protocol::hepar::Hepar;
use hepar_metrics::protocol::lits2017::Lits2017;

use crate::evaluate::grid::on_one_grid;
use crate::evaluate::overlay::Overlay;
use crate::evaluate::{EvaluateError, LabelMap, Options, Pair, Protocol};

/// The scores of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseScores {
    /// Every figure, in the order of the JSON layout; the same ones for every case of a protocol.
    pub figures: Vec<Figure>,
    /// The scores that [`Protocol::Hepar`] gives, with its lesions.
    pub details: Option<Hepar>,
    /// The slices where liver and tumour differ most, if they were asked for.
    pub overlays: Vec<Overlay>,
    /// What is odd about the case, in sentences.
    pub notes: Vec<String>,
}

impl CaseScores {
    /// The figure at a place of the JSON layout, as `liver/dice`; `None` when it is undefined or is none of the
    /// protocol.
    pub fn value(&self, path: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.path == path).and_then(Figure::value)
    }

    /// Scores the files of a case.
    ///
    /// # Errors
    /// When a file cannot be read, holds unknown labels or lies on another grid than the other, or the protocol's
    /// scorer would stop.
    pub(super) fn of(pair: &Pair, options: &Options) -> Result<Self, EvaluateError> {
        match options.protocol {
            Protocol::Hepar => Self::by_hepar(pair, options),
            Protocol::Lits2017 => Self::by_lits2017(pair, options),
        }
    }

    fn by_hepar(pair: &Pair, options: &Options) -> Result<Self, EvaluateError> {
        let (prediction, reference) = rayon::join(
            || mapped(&pair.prediction, read_labels, options.prediction_map.as_ref()),
            || mapped(&pair.reference, read_labels, options.reference_map.as_ref()),
        );
        let of_grid = |difference| EvaluateError::Grid {
            prediction: pair.prediction.clone(),
            reference: pair.reference.clone(),
            difference,
        };
        let (prediction, reference) = on_one_grid(prediction?.volume, reference?.volume).map_err(of_grid)?;
        let details = Hepar::of(prediction.data(), reference.data(), reference.geometry())
            .map_err(|error| of_grid(crate::evaluate::GridDifference::Other(error.to_string())))?;
        let overlays = if options.overlays { Overlay::of(&prediction, &reference) } else { Vec::new() };
        Ok(Self { figures: details.figures(), notes: notes(&details), details: Some(details), overlays })
    }

    fn by_lits2017(pair: &Pair, options: &Options) -> Result<Self, EvaluateError> {
        let (prediction, reference) = rayon::join(
            || truncated(&pair.prediction, options.prediction_map.as_ref()),
            || truncated(&pair.reference, options.reference_map.as_ref()),
        );
        let (prediction, reference) = (prediction?, reference?);
        let scores = Lits2017::of(prediction.volume.data(), reference.volume.data(), reference.grid.stated_spacing())
            .map_err(|source| {
            let (prediction, reference) = (pair.prediction.clone(), pair.reference.clone());
            EvaluateError::Lits2017 { prediction, reference, source }
        })?;
        let same_grid = options.overlays && prediction.volume.shape() == reference.volume.shape();
        let overlays = if same_grid { Overlay::of(&prediction.volume, &reference.volume) } else { Vec::new() };
        Ok(Self { figures: scores.figures(), details: None, overlays, notes: Vec::new() })
    }
}

/// Reads labels and gives them their meaning.
fn mapped(
    path: &Path,
    read: fn(&Path) -> Result<Labels, hepar_formats::ReadError>,
    map: Option<&LabelMap>,
) -> Result<Labels, EvaluateError> {
    let mut labels = read(path)?;
    let unknown = |(label, voxels)| EvaluateError::Label { path: path.to_owned(), label, voxels };
    map.copied().unwrap_or_default().apply(&mut labels.volume).map_err(unknown)?;
    Ok(labels)
}

/// Reads labels as the challenge's scorer does, which takes every label of 1 and above for the liver.
fn truncated(path: &Path, map: Option<&LabelMap>) -> Result<Labels, EvaluateError> {
    match map {
        Some(_) => mapped(path, read_labels_truncated, map),
        None => Ok(read_labels_truncated(path)?),
    }
}

/// What a reader should know who sees undefined figures.
fn notes(scores: &Hepar) -> Vec<String> {
    let sides = |object: &str, predicted: u64, reference: u64| match (predicted, reference) {
        (0, 0) => Some(format!("neither volume has a voxel of the {object}: Dice is 1, distances are undefined")),
        (0, _) => Some(format!("the prediction has no voxel of the {object}: Dice is 0, distances are undefined")),
        (_, 0) => Some(format!("the reference has no voxel of the {object}: Dice is 0, distances are undefined")),
        _ => None,
    };
    let (liver, tumour) = (&scores.liver.overlap, &scores.tumour.overlap);
    let of_liver = sides("liver", liver.predicted, liver.reference);
    // Many livers have no tumour, and finding none there is no oddity.
    let of_tumour = if tumour.is_empty() { None } else { sides("tumour", tumour.predicted, tumour.reference) };
    of_liver.into_iter().chain(of_tumour).collect()
}
