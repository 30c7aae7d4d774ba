//! An evaluation as one HTML page.

use hepar_metrics::statistics::Bootstrap;

use crate::evaluate::{Comparison, Evaluation};

/// x
pub fn as_page(_: &Evaluation, _: &Bootstrap, _: Option<&Comparison>) -> String {
    String::new()
}
