//! Figures of the article that a second source confirms.

use crate::experiment::Question;

/// One figure of the article.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Published {
    /// What was segmented: `liver` or `tumour`.
    pub(super) object: &'static str,
    /// Where it stands among the columns of the tables.
    pub(super) path: &'static str,
    /// The figure.
    pub(super) value: f64,
}

/// What the article says of RA-UNet's tumours on the test set of LiTS, by the challenge's scorer (Jin et al., Front.
/// Bioeng. Biotechnol. 8:605132, 2020).
const LITS_TEST: [Published; 2] = [
    Published { object: "tumour", path: "lesion/dice_per_case", value: 0.595 },
    Published { object: "tumour", path: "lesion/dice_global", value: 0.795 },
];

/// The figures that can stand beside those of an experiment. Those for 3D-IRCADb are confirmed by nobody.
pub(super) fn published(question: Question) -> &'static [Published] {
    match question {
        Question::Generalisation => &[],
        Question::Lits { .. } => &LITS_TEST,
    }
}
