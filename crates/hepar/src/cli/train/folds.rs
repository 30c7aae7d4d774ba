//! Folds of patients, held out in turn.

use std::path::PathBuf;

use hepar_train::TrainConfig;

use super::super::Failure;

/// Which of the folds of patients is held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// This one.
    Out(usize),
    /// Each in its turn.
    InTurn,
}

/// Networks of one model, or one of them.
pub(super) struct Model {
    /// Folder of its runs.
    pub(super) root: PathBuf,
    pub(super) configs: Vec<TrainConfig>,
}

/// Checks that the networks of all folds are trained alike, each from the beginning.
pub(super) fn check_folds(models: &[Model]) -> Result<(), Failure> {
    let but_the_fold = |config: &TrainConfig| TrainConfig { fold: None, ..config.clone() };
    for Model { root, configs } in models {
        for (config, first) in configs.iter().zip(&models[0].configs) {
            if config.start.is_some() {
                let why = "the weights have seen the patients of other folds; train the folds one by one";
                return Err(Failure::usage(format_args!("begin every fold from the same start: {why}")));
            }
            if but_the_fold(config) != but_the_fold(first) || config.folds != configs[0].folds {
                let (one, other) = (models[0].root.display(), root.display());
                return Err(Failure::usage(format_args!(
                    "train the folds alike: {one} and {other} differ in more than the fold; give the options that they were \
                     begun with"
                )));
            }
        }
    }
    Ok(())
}

/// Folder of a fold's runs among those of all.
pub(super) fn fold_folder(fold: usize) -> String {
    format!("fold-{fold}")
}

/// Which fold an argument means.
pub(super) fn held(text: &str) -> Result<Held, String> {
    match text {
        "all" => Ok(Held::InTurn),
        number => number.parse().map(Held::Out).map_err(|_| "the number of a fold, from 0, or all".to_owned()),
    }
}
