mod tables;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hepar::ErrorKind;
use hepar::evaluate::{
    self, Comparison, EvaluateError, Evaluation, LabelMap, Options, Protocol, as_csv, as_json, as_page, compare,
    evaluate_pairs, lesions_as_csv, pair, read_pairs,
};
use hepar::exit;
use hepar::output::{plan_new_file, write_file};
use hepar_metrics::statistics::Bootstrap;

use super::{Failure, print, warn_of};

const NOTES: &str = "\
Liver: labels 1 and above; tumour: label 2; a lesion: a connected component of label 2. Dice is 1
where neither volume has a voxel of the object (marked ∅). Volumes that are stored in different
axis orders are brought together by their headers. In folders, a case is a file or a result's
folder of the same name, but for endings as _label, _seg, _ct or -hepar and beginnings as
segmentation- or volume-. docs/evaluation.md defines every figure and the layout of the files.

Examples:
  hepar evaluate ct-hepar ct_label.nii.gz
  hepar evaluate out lits/ --csv scores.csv --html scores.html
  hepar evaluate out lits/ --compare older-out
  hepar evaluate --pairs pairs.csv --protocol lits-2017 --json scores.json";

/// Score labels against a reference: liver, tumours, every lesion
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct Arguments {
    /// Labels, a result's folder, or a folder of either
    #[arg(value_name = "PRED", required_unless_present = "pairs", conflicts_with = "pairs")]
    prediction: Option<PathBuf>,
    /// The reference: labels, or a folder of them
    #[arg(value_name = "REF", required_unless_present = "pairs", conflicts_with = "pairs")]
    reference: Option<PathBuf>,
    /// CSV file that names the pairs: columns name, prediction, reference
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// By which rules
    #[arg(long, value_enum, default_value_t = ProtocolName::Hepar)]
    protocol: ProtocolName,
    /// What labels mean, as 5=1,6=2,*=0: 0 background, 1 liver, 2 tumour
    #[arg(long, value_name = "FROM=TO,…")]
    map: Option<LabelMap>,
    /// What labels of predictions mean, instead of --map
    #[arg(long, value_name = "FROM=TO,…")]
    map_prediction: Option<LabelMap>,
    /// What labels of references mean, instead of --map
    #[arg(long, value_name = "FROM=TO,…")]
    map_reference: Option<LabelMap>,
    /// Another prediction of the same cases, to be tested against: files or folders as PRED, or a list as --pairs
    #[arg(long, value_name = "OTHER")]
    compare: Option<PathBuf>,
    /// Write the figures as JSON; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the figures as CSV, a line a case; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write every lesion as CSV; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    lesions: Option<PathBuf>,
    /// Write a page with charts and the worst cases; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Drawings of cases for confidence intervals
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    resamples: u32,
    /// Seed of the drawings
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// A protocol by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProtocolName {
    /// Lesions one to one, what is undefined called so
    #[value(name = "hepar")]
    Hepar,
    /// The results of the challenge's own scorer of 2017, oddities included
    #[value(name = "lits-2017")]
    Lits2017,
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        if self.lesions.is_some() && self.protocol == ProtocolName::Lits2017 {
            return Err(Failure::usage("write a table of lesions: the protocol lits-2017 has none one by one"));
        }
        let files: Vec<&PathBuf> = [&self.json, &self.csv, &self.lesions, &self.html].into_iter().flatten().collect();
        for (n, path) in files.iter().enumerate() {
            plan_new_file(path)?;
            if files[..n].contains(path) {
                return Err(Failure::usage(format_args!("write {}: it is named twice", path.display())));
            }
        }
        let options = self.options();
        let evaluation = self.evaluate(&options)?;
        let (compared, other_problems) = self.compare(&evaluation, &options)?;
        let bootstrap = Bootstrap { resamples: self.resamples as usize, seed: self.seed };
        self.write(&evaluation, &bootstrap, compared.as_ref())?;
        print(tables::cases(&evaluation, &bootstrap))?;
        if let Some(compared) = &compared {
            print(tables::comparison(compared))?;
        }
        let problems = [evaluation.problems(), other_problems].concat();
        for (pair, scores) in evaluation.scored() {
            scores.notes.iter().for_each(|note| warn_of(format_args!("{}: {note}", pair.case)));
        }
        problems.iter().for_each(warn_of);
        Ok(if problems.is_empty() { exit::DONE } else { exit::SOME_FAILED })
    }

    fn options(&self) -> Options {
        Options {
            protocol: match self.protocol {
                ProtocolName::Hepar => Protocol::Hepar,
                ProtocolName::Lits2017 => Protocol::Lits2017,
            },
            prediction_map: self.map_prediction.or(self.map),
            reference_map: self.map_reference.or(self.map),
            overlays: self.html.is_some(),
        }
    }

    fn evaluate(&self, options: &Options) -> Result<Evaluation, Failure> {
        let evaluation = match (&self.pairs, &self.prediction, &self.reference) {
            (Some(list), ..) => evaluate_pairs(read_pairs(list)?, options),
            (None, Some(prediction), Some(reference)) => evaluate::evaluate(prediction, reference, options),
            _ => return Err(Failure::usage("evaluate: PRED and REF or --pairs are needed")),
        };
        Ok(evaluation?)
    }

    /// Compares with the other prediction, if there is one, and says what was wrong with that.
    fn compare(
        &self,
        evaluation: &Evaluation,
        options: &Options,
    ) -> Result<(Option<Comparison>, Vec<String>), Failure> {
        let Some(other) = &self.compare else { return Ok((None, Vec::new())) };
        let options = Options { overlays: false, ..options.clone() };
        let is_list = |path: &Path| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let pairing = match &self.reference {
            _ if is_list(other) => read_pairs(other)?,
            Some(reference) => pair(other, reference)?,
            None => return Err(Failure::usage("compare: with --pairs, the other prediction must be a list too")),
        };
        let single = pairing.single;
        let mut other_evaluation = evaluate_pairs(pairing, &options)?;
        if let (true, [ours], [theirs]) = (single, &evaluation.cases[..], &mut other_evaluation.cases[..]) {
            // Two files of one case may have any names.
            theirs.pair.case.clone_from(&ours.pair.case);
        }
        let compared = compare(evaluation, &other_evaluation, other);
        if compared.figures.is_empty() {
            let (predictions, references) = (other.clone(), self.prediction.clone().unwrap_or_default());
            return Err(ErrorKind::from(EvaluateError::NoPairs { predictions, references }).into());
        }
        Ok((Some(compared), other_evaluation.problems()))
    }

    fn write(
        &self,
        evaluation: &Evaluation,
        bootstrap: &Bootstrap,
        compared: Option<&Comparison>,
    ) -> Result<(), Failure> {
        if let Some(path) = &self.json {
            write_file(path, format!("{:#}\n", as_json(evaluation, bootstrap, compared)).as_bytes())?;
        }
        if let Some(path) = &self.csv {
            write_file(path, as_csv(evaluation).as_bytes())?;
        }
        if let Some(path) = &self.lesions {
            write_file(path, lesions_as_csv(evaluation).as_bytes())?;
        }
        if let Some(path) = &self.html {
            write_file(path, as_page(evaluation, bootstrap, compared).as_bytes())?;
        }
        Ok(())
    }
}
