use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hepar::data_set::as_json;
use hepar::output::{plan_new_file, write_file};
use hepar::{ErrorKind, exit};
use hepar_train::{
    CaseReport, Finding, LabelFacts, PackError, Packing, PatientId, ScanFacts, Source, TrainError, check, discover,
    discover_all,
};

use super::{Failure, print};

const EXAMPLES: &str = "\
Examples:
  hepar data check lits ircad --json data.json   what is wrong with the cases, and their folds
  hepar data pack lits ircad -o packed           then: hepar train tumour --data packed --run runs/tumour";

/// Check and prepare data sets for training
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at every case for what could mislead a training: grids, labels, intensities, the same scan twice
    Check {
        /// Folder of labelled scans, as for hepar train
        #[arg(required = true, value_name = "DIR")]
        data: Vec<PathBuf>,
        /// Into how many folds patients are divided, as in training
        #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
        folds: u16,
        /// Write the cases with folds and findings as JSON; the file must not be there yet
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Copy scans and labels, compact: the liver's surroundings on a coarser grid, in steps of a few HU
    ///
    /// The localizer is not trained on the copies: it looks at whole slices
    Pack {
        /// Folder of labelled scans, as for hepar train
        #[arg(required = true, value_name = "DIR")]
        data: Vec<PathBuf>,
        /// Folder of the copies
        #[arg(short, long, value_name = "OUT")]
        output: PathBuf,
        /// Distance of voxels in millimetres: slices, rows, columns; a coarser scan stays as it is
        #[arg(long, value_name = "MM", num_args = 3, value_parser = positive)]
        spacing: Option<Vec<f64>>,
    },
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        match self.command {
            Command::Check { data, folds, json } => check_cases(&data, folds, json.as_deref()),
            Command::Pack { data, output, spacing } => pack(&data, &output, spacing.as_deref()),
        }
    }
}

fn check_cases(data: &[PathBuf], folds: u16, json: Option<&Path>) -> Result<u8, Failure> {
    if let Some(path) = json {
        plan_new_file(path)?;
    }
    let failed = |source| ErrorKind::Train { doing: "check the data set".to_owned(), source: TrainError::Data(source) };
    let cases = discover_all(data).map_err(failed)?;
    // What cannot be printed here is no reason to leave the other cases unchecked.
    let mut say = |report: &CaseReport| drop(print(lines(report)));
    let reports = check(&cases, usize::from(folds), &mut say);
    print(summary(&reports))?;
    if let Some(path) = json {
        write_file(path, format!("{:#}\n", as_json(&reports, folds)).as_bytes())?;
    }
    Ok(if reports.iter().all(CaseReport::is_readable) { exit::DONE } else { exit::SOME_FAILED })
}

fn pack(data: &[PathBuf], output: &Path, spacing: Option<&[f64]>) -> Result<u8, Failure> {
    let mut packing = Packing::STANDARD;
    if let Some(&[k, j, i]) = spacing {
        packing.spacing = [k, j, i];
    }
    let doing = || format!("pack into {}", output.display());
    let failed = |source: PackError| ErrorKind::Pack { doing: doing(), source };
    let cases = discover(data).map_err(|error| failed(error.into()))?;
    let packed = packing.write(&cases, output).map_err(failed)?;
    print(format_args!("{}: {packed}\n", output.display()))?;
    Ok(exit::DONE)
}

/// A case in a line, and what was found below it.
fn lines(report: &CaseReport) -> String {
    let line = |finding: &Finding| {
        let kind = if finding.is_note() { "note: " } else { "" };
        format!("  {kind}{finding}\n")
    };
    let findings: String = report.findings.iter().map(line).collect();
    format!("{}: {}\n{findings}", report.case.name, facts(report).join(", "))
}

fn facts(report: &CaseReport) -> Vec<String> {
    let mut facts = vec![format!("patient {}", report.case.patient)];
    facts.push(match report.is_kept_for_tests() {
        true => "kept for tests".to_owned(),
        false => format!("fold {}", report.fold),
    });
    if let Source::Slices { indices, .. } = &report.case.source {
        facts.push(counted(indices.len(), "single slice"));
    }
    facts.extend(report.scan.as_ref().map(scan_fact));
    facts.extend(report.labels.as_ref().map(label_fact));
    facts
}

fn scan_fact(scan: &ScanFacts) -> String {
    let ([nk, nj, ni], [k, j, i]) = (scan.shape, scan.spacing);
    format!("{ni} × {nj} × {nk} voxels of {i:.3} × {j:.3} × {k:.3} mm ({})", scan.orientation)
}

fn label_fact(labels: &LabelFacts) -> String {
    let LabelFacts { liver_ml, tumour_ml, lesions, .. } = labels;
    format!("liver {liver_ml:.0} ml, tumour {tumour_ml:.1} ml, {}", counted(*lesions, "lesion"))
}

fn summary(reports: &[CaseReport]) -> String {
    let patients: BTreeSet<&PatientId> = reports.iter().map(|report| &report.case.patient).collect();
    let suspicious = reports.iter().filter(|report| report.is_suspicious()).count();
    let (cases, patients) = (counted(reports.len(), "case"), counted(patients.len(), "patient"));
    format!("{cases} of {patients}, {suspicious} with findings\n")
}

/// A number of things, each of which `noun` names.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|v: &f64| *v >= 0.1 && *v <= 100.0);
    number.ok_or_else(|| "a number of millimetres, 0.1 to 100, is needed".to_owned())
}
