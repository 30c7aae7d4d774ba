//! Label volumes against references.
//!
//! [`evaluate`] scores a case, a folder of cases or a list of them by a [`Protocol`]; [`Evaluation`] keeps what came of
//! it, [`compare`] says whether one prediction is better than another, and [`as_json`], [`as_csv`], [`lesions_as_csv`]
//! and [`as_page`] write it down.

mod case;
mod comparison;
mod csv;
mod error;
mod grid;
mod json;
mod label_map;
mod overlay;
mod page;
mod pair_list;
mod pairs;
mod score;
mod tables;

use std::fmt;
use std::path::Path;

use hepar_metrics::statistics::{Bootstrap, Interval};
use hepar_metrics::{Figure, totals};

use crate::error::sentence;

pub use case::CaseScores;
pub use comparison::{Compared, Comparison, check_comparable, compare};
pub use error::{EvaluateError, GridDifference};
pub use json::as_json;
pub use label_map::LabelMap;
pub use overlay::{Overlay, Run, Side};
pub use page::as_page;
pub use pair_list::read_pairs;
pub use pairs::{Pair, Pairing, Unpaired, pair};
pub use score::{ObjectScore, Score};
pub use tables::{as_csv, lesions_as_csv};

/// By which rules is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// hepar's own: lesions one to one, what is undefined called so, grids brought together by their affines.
    #[default]
    Hepar,
    /// The results of the LiTS challenge's own scorer of 2017, on the arrays as they are stored.
    Lits2017,
}

/// How is scored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// By which rules.
    pub protocol: Protocol,
    /// What the labels of predictions mean, if not 0 background, 1 liver, 2 tumour.
    pub prediction_map: Option<LabelMap>,
    /// What the labels of references mean.
    pub reference_map: Option<LabelMap>,
    /// Whether the slices where the two differ most are kept.
    pub overlays: bool,
}

/// A case and its scores, or why there are none.
#[derive(Debug)]
pub struct Evaluated {
    /// The case and its files.
    pub pair: Pair,
    /// How they agree.
    pub scores: Result<CaseScores, EvaluateError>,
}

/// What came of comparing predictions with references.
#[derive(Debug)]
pub struct Evaluation {
    /// By which rules.
    pub protocol: Protocol,
    /// The cases that both have, by name.
    pub cases: Vec<Evaluated>,
    /// Files without a partner.
    pub unpaired: Vec<Unpaired>,
}

/// A figure of all cases together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Total {
    /// The figure.
    pub figure: Figure,
    /// Its 95 % confidence interval over cases.
    pub interval: Option<Interval>,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hepar => "hepar",
            Self::Lits2017 => "lits-2017",
        })
    }
}

impl Evaluation {
    /// The cases that have scores, by name.
    pub fn scored(&self) -> impl Iterator<Item = (&Pair, &CaseScores)> {
        self.cases.iter().filter_map(|case| Some((&case.pair, case.scores.as_ref().ok()?)))
    }

    /// The figures of all scored cases together, with their confidence intervals; none without cases.
    pub fn totals(&self, bootstrap: &Bootstrap) -> Vec<Total> {
        let figures: Vec<Vec<Figure>> = self.scored().map(|(_, scores)| scores.figures.clone()).collect();
        let all = totals(&figures).into_iter().zip(bootstrap.intervals(&figures));
        let all = all.filter(|(figure, _)| figure.is_of_total());
        all.map(|(figure, interval)| Total { figure, interval }).collect()
    }

    /// Why cases have no scores and files no partner, a sentence each.
    pub fn problems(&self) -> Vec<String> {
        let failed = self.cases.iter().filter_map(|case| Some(failure(case.scores.as_ref().err()?)));
        failed.chain(self.unpaired_problems().map(ToString::to_string)).collect()
    }

    /// Whether every file had a partner and every case was scored.
    pub fn is_complete(&self) -> bool {
        self.unpaired_problems().next().is_none() && self.cases.iter().all(|case| case.scores.is_ok())
    }

    /// The challenge's scorer passes over predictions without a reference.
    fn unpaired_problems(&self) -> impl Iterator<Item = &Unpaired> {
        let is_passed_over = |file: &Unpaired| matches!(file, Unpaired::Prediction(_));
        self.unpaired.iter().filter(move |file| self.protocol == Protocol::Hepar || !is_passed_over(file))
    }
}

fn failure(error: &EvaluateError) -> String {
    format!("failed to {}", sentence(error))
}

/// Compares two label volumes, or the cases of two folders; a result's folder counts as its label volume.
///
/// A case that cannot be scored does not keep the others of a folder from it.
///
/// # Errors
/// When the two single files cannot be compared, or the folders cannot be listed or share no case.
pub fn evaluate(prediction: &Path, reference: &Path, options: &Options) -> Result<Evaluation, EvaluateError> {
    evaluate_pairs(pair(prediction, reference)?, options)
}

/// Compares what belongs together; otherwise as [`evaluate`].
///
/// # Errors
/// When there is a single pair of files and it cannot be compared.
pub fn evaluate_pairs(pairing: Pairing, options: &Options) -> Result<Evaluation, EvaluateError> {
    let Pairing { pairs, unpaired, single } = pairing;
    let mut cases = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let scores = CaseScores::of(&pair, options);
        if single {
            cases.push(Evaluated { pair, scores: Ok(scores?) });
        } else {
            cases.push(Evaluated { pair, scores });
        }
    }
    Ok(Evaluation { protocol: options.protocol, cases, unpaired })
}
