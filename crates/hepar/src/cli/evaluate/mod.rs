mod tables;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hepar::evaluate::{
    Comparison, Evaluation, LabelMap, Options, Pairing, Protocol, as_csv, as_json, as_page, check_comparable, compare,
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
        self.check_files()?;
        let pairing = self.pairing()?;
        // Scoring takes long: what cannot be compared is known before.
        let other = match &self.compare {
            Some(path) => Some((path, self.other_pairing(path, &pairing)?)),
            None => None,
        };
        let options = self.options();
        let evaluation = evaluate_pairs(pairing, &options)?;
        let compared = match other {
            Some((path, pairing)) => {
                let options = Options { overlays: false, ..options };
                Some(compare(&evaluation, &evaluate_pairs(pairing, &options)?, path))
            }
            None => None,
        };
        let bootstrap = Bootstrap { resamples: self.resamples as usize, seed: self.seed };
        let tested = compared.as_ref().filter(|compared| !compared.figures.is_empty());
        // Scoring took long: what cannot be written is at least seen, and the other way round.
        let printed = print(tables::cases(&evaluation, &bootstrap) + &tested.map_or(String::new(), tables::comparison));
        self.write(&evaluation, &bootstrap, compared.as_ref())?;
        printed?;
        for (pair, scores) in evaluation.scored() {
            scores.notes.iter().for_each(|note| warn_of(format_args!("{}: {note}", pair.case)));
        }
        let of_other = compared.iter().flat_map(Comparison::told);
        let problems: Vec<String> = evaluation.problems().into_iter().chain(of_other).collect();
        problems.iter().for_each(warn_of);
        let is_complete = problems.is_empty() && tested.is_some() == compared.is_some();
        Ok(if is_complete { exit::DONE } else { exit::SOME_FAILED })
    }

    /// Checks that what is to be written can be, each to a file of its own.
    fn check_files(&self) -> Result<(), Failure> {
        let files = [&self.json, &self.csv, &self.lesions, &self.html].into_iter().flatten();
        let files: Vec<(&PathBuf, PathBuf)> = files.map(|path| (path, place(path))).collect();
        for (n, (path, place)) in files.iter().enumerate() {
            plan_new_file(path)?;
            for (other, other_place) in &files[..n] {
                if place == other_place {
                    return Err(Failure::usage(format_args!("write {}: it is named twice", path.display())));
                }
                if place.starts_with(other_place) || other_place.starts_with(place) {
                    let (path, other) = (path.display(), other.display());
                    return Err(Failure::usage(format_args!("write {path} and {other}: one would be a folder")));
                }
            }
        }
        Ok(())
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

    /// What is evaluated.
    fn pairing(&self) -> Result<Pairing, Failure> {
        match (&self.pairs, &self.prediction, &self.reference) {
            (Some(list), ..) => Ok(read_pairs(list)?),
            (None, Some(prediction), Some(reference)) => Ok(pair(prediction, reference)?),
            _ => Err(Failure::usage("evaluate: PRED and REF or --pairs are needed")),
        }
    }

    /// The other prediction in `path`, with which that of `pairing` is compared.
    fn other_pairing(&self, path: &Path, pairing: &Pairing) -> Result<Pairing, Failure> {
        let is_list = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let mut other = match &self.reference {
            _ if is_list => read_pairs(path)?,
            Some(reference) => pair(path, reference)?,
            None => return Err(Failure::usage("compare: with --pairs, the other prediction must be a list too")),
        };
        if let (true, [ours], [theirs]) = (other.single, &pairing.pairs[..], &mut other.pairs[..]) {
            // Two files of one case may have any names.
            theirs.case.clone_from(&ours.case);
        }
        // When it cannot be scored, the prediction still can.
        other.single = false;
        let prediction = self.prediction.as_deref().or(self.pairs.as_deref()).unwrap_or(Path::new(""));
        check_comparable(pairing, prediction, &other, path)?;
        Ok(other)
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

/// Where a new file will be, however its path is spelt: the nearest folder that is there as the system knows it, and what
/// the path has below.
fn place(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let known = path.ancestors().skip(1).find_map(|folder| {
        let below = path.strip_prefix(folder).ok()?;
        Some(folder.canonicalize().ok()?.join(below))
    });
    known.unwrap_or(path)
}
