use std::path::{Path, PathBuf};

use clap::Args;
use hepar::cases::case_name;
use hepar::exit;
use hepar::output::{Contents, REPORT_FILE, ResultFolder};
use hepar::report::{LabelledScan, Remake};
use hepar::watch::Terminal;

use super::contents::ContentsArguments;
use super::{Failure, check_series, interrupt, print, text};

const EXAMPLES: &str = "\
Examples:
  hepar report ct-hepar                            the report again, with the pictures it held
  hepar report ct-hepar --pictures all --mesh glb
  hepar report ct-hepar --ct elsewhere/ct.nii.gz   when the scan has moved
  hepar report --ct ct.nii.gz --labels l.nii.gz    a result of labels from elsewhere, in ./ct-hepar/

Labels that were corrected by hand stay as they are: tables, pictures and report follow them.";

/// Make the report again, or that of labels from elsewhere
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Folder of a result
    #[arg(value_name = "RESULT", required_unless_present = "labels", conflicts_with = "labels")]
    result: Option<PathBuf>,
    /// The scan; needed when it is not where it was, and with --labels
    #[arg(long, value_name = "CT")]
    ct: Option<PathBuf>,
    /// Labels on the scan's grid: 0 background, 1 liver, 2 tumour
    #[arg(long, value_name = "LABELS", requires = "ct")]
    labels: Option<PathBuf>,
    /// UID or number of the DICOM series that --labels belong to; 3:2 is the second volume of series 3 [default: chosen by rules]
    #[arg(long, value_name = "SERIES", requires = "labels")]
    series: Option<String>,
    /// Folder for the result of --labels [default: ./CASE-hepar]
    #[arg(short, long, value_name = "OUT", requires = "labels")]
    output: Option<PathBuf>,
    #[command(flatten)]
    contents: ContentsArguments,
    /// Replace a result that hepar wrote
    #[arg(long, requires = "labels")]
    force: bool,
    /// Show no progress and no summary
    #[arg(short, long)]
    quiet: bool,
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        self.ct.iter().try_for_each(|scan| check_series(self.series.as_deref(), scan))?;
        let terminal = Terminal::new(interrupt()?, self.quiet);
        let (findings, folder) = match (&self.result, &self.labels, &self.ct) {
            (Some(folder), ..) => {
                let remake = Remake::plan(folder, self.ct.as_deref(), |held| self.contents.over(held))?;
                (remake.run(&terminal), folder.clone())
            }
            (None, Some(labels), Some(scan)) => {
                let default = PathBuf::from(format!("{}-hepar", case_name(scan)));
                let path = self.output.clone().unwrap_or(default);
                let folder = ResultFolder::plan(&path, self.force)?.holding(self.contents.over(Contents::default()));
                let labelled = LabelledScan { scan: scan.clone(), series: self.series.clone(), labels: labels.clone() };
                (labelled.run(&folder, &terminal), path)
            }
            _ => return Err(Failure::usage("make a report: RESULT, or --ct and --labels are needed")),
        };
        terminal.clear();
        let findings = findings?;
        if !self.quiet {
            let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            let report = Path::new(&folder).join(REPORT_FILE);
            print(format_args!("{name}: {}\n  in {}\n", text::summary(&findings), report.display()))?;
        }
        Ok(exit::DONE)
    }
}
