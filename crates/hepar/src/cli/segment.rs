use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hepar::cases::{Scans, names_an_image};
use hepar::cohort::{Cohort, PlannedCase};
use hepar::output::{Contents, Product, Products};
use hepar::watch::Terminal;
use hepar::{Error, Findings, LastStage, Options, ScanOptions, Segmenter, exit, open_model, sentence};
use hepar_formats::{SegmentationType, SegmentsBy};

use super::contents::ContentsArguments;
use super::engine::EngineArguments;
use super::{Failure, check_series, interrupt, print, text};

const EXAMPLES: &str = "\
Examples:
  hepar segment ct.nii.gz                          result in ./ct-hepar/
  hepar segment ct.nii.gz -o labels.nii.gz         labels alone
  hepar segment a.nii.gz b.nii.gz -o out           out/a/, out/b/, out/cohort.html and out/cohort.csv
  hepar segment scans/ -o out                      the same for all images in a folder
  hepar segment ct.nii.gz --pictures all --mesh glb
  hepar segment ct.nii.gz --liver liver.nii.gz     look for tumours in a liver that is known
  hepar segment STUDY --write labels,seg,sr        a DICOM folder, file or zip archive, and DICOM back

A result holds labels.nii.gz (0 background, 1 liver, 2 tumour, on the scan's grid), report.html to
look at, lesions.csv, result.json, preview.png and manifest.json. Files that hepar did not write are
never overwritten.";

/// Segment the liver and its tumours in CT scans
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// CT scans in Hounsfield units: NIfTI, NRRD, MetaImage, a DICOM folder, file or zip archive, or a folder of images
    #[arg(required = true, value_name = "CT")]
    inputs: Vec<PathBuf>,
    /// Folder for the result, or a .nii.gz, .nrrd or .mha file for labels alone [default: ./CASE-hepar, or ./cohort-hepar for several or a folder of images]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Folder of the model [default: the one in the program]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArguments,
    /// How far to go
    #[arg(long, value_enum, default_value_t = Stages::All)]
    stages: Stages,
    /// The liver, if it is known: a label volume on the scan's grid, liver ≥ 1; for one scan
    #[arg(long, value_name = "MASK")]
    liver: Option<PathBuf>,
    #[command(flatten)]
    contents: ContentsArguments,
    /// UID or number of the DICOM series; 3:2 is the second volume of series 3 [default: chosen by rules; hepar info shows them]
    #[arg(long, value_name = "UID")]
    series: Option<String>,
    /// Refuse a DICOM series in which anything would have to be mended: missing or repeated slices, a tilted gantry
    #[arg(long)]
    strict: bool,
    /// What to write [default: labels; labels,seg for DICOM]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT,…")]
    write: Option<Vec<Write>>,
    /// Look for tumours in every window and its three mirror images: four times the work
    #[arg(long)]
    mirror: bool,
    /// Store the DICOM segmentation as a label map, which not every program reads yet
    #[arg(long)]
    labelmap: bool,
    /// A segment for each lesion in DICOM objects
    #[arg(long)]
    split_lesions: bool,
    /// Replace results that hepar wrote
    #[arg(long)]
    force: bool,
    /// Show no progress and no summary
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stages {
    /// The liver only
    Liver,
    /// Liver and tumours
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Write {
    /// labels.nii.gz
    Labels,
    /// seg.dcm: DICOM segmentation
    Seg,
    /// rtstruct.dcm: DICOM RT structure set
    Rtstruct,
    /// sr.dcm: DICOM structured report of the measurements
    Sr,
    /// labels.seg.nrrd: for 3D Slicer
    Nrrd,
    /// liver-probability.nii.gz and tumour-probability.nii.gz
    Probabilities,
    /// probability.dcm: the same as a fractional DICOM segmentation
    FractionalSeg,
}

impl Write {
    fn products(&self) -> &'static [Product] {
        match self {
            Self::Labels => &[Product::Labels],
            Self::Seg => &[Product::Segmentation],
            Self::Rtstruct => &[Product::StructureSet],
            Self::Sr => &[Product::Report],
            Self::Nrrd => &[Product::Nrrd],
            Self::Probabilities => &[Product::LiverProbability, Product::TumourProbability],
            Self::FractionalSeg => &[Product::Fractional],
        }
    }
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        let scans = Scans::of(&self.inputs)?;
        let options = self.options(&scans)?;
        let terminal = Terminal::new(interrupt()?, self.quiet);
        let contents = self.contents.over(Contents::default());
        let cohort = Cohort::plan(&scans, self.output.as_deref(), &options, contents, self.force)?;
        let engine = self.engine.open()?;
        let mut segmenter = Segmenter::with_engine(&open_model(self.model.as_deref())?, engine.as_ref())?;
        if self.mirror {
            segmenter.mirror_tumours();
        }
        let mut report = |case: &PlannedCase, result: Result<&Findings, &Error>| {
            terminal.clear();
            match result {
                // What cannot be printed here is no reason to leave the other cases undone.
                Ok(findings) if !self.quiet => drop(print(line(case, findings))),
                Ok(_) => {}
                Err(error) => terminal.say(&format!("hepar: failed to {}", sentence(error))),
            }
        };
        let failed = cohort.run(&mut segmenter, &options, &terminal, &mut report);
        terminal.clear();
        let failed = failed?;
        if let Some(page) = cohort.page().filter(|_| !self.quiet) {
            print(format_args!("All cases: {}\n", page.display()))?;
        }
        Ok(if failed == 0 { exit::DONE } else { exit::SOME_FAILED })
    }

    fn options(&self, scans: &Scans) -> Result<Options, Failure> {
        let last = if self.stages == Stages::Liver { LastStage::Liver } else { LastStage::Tumour };
        if self.liver.is_some() && scans.paths().len() > 1 {
            return Err(Failure::usage("use --liver for several scans: it is the liver of one"));
        }
        if self.liver.is_some() && last == LastStage::Liver {
            return Err(Failure::usage("use --liver with --stages liver: nothing would be left to do"));
        }
        if self.series.is_some() && self.inputs.len() > 1 {
            return Err(Failure::usage("use --series for several scans: it is of one"));
        }
        scans.paths().iter().try_for_each(|path| check_series(self.series.as_deref(), path))?;
        if let Some(output) = self.output.as_deref().filter(|path| is_other_image(path)) {
            let why = "labels alone are .nii, .nii.gz, .nrrd or .mha; for DICOM name a folder, and --write seg";
            return Err(Failure::usage(format_args!("write {}: {why}", output.display())));
        }
        let goes_to_folders = scans.alone().is_none();
        if let Some(output) = self.output.as_deref().filter(|path| goes_to_folders && names_an_image(path)) {
            let output = output.display();
            return Err(Failure::usage(format_args!("write a result for each scan to {output}: name a folder")));
        }
        let wants_folder = self.write.is_some() || self.contents.is_given();
        if let Some(output) = self.output.as_deref().filter(|path| wants_folder && names_an_image(path)) {
            let why = "--write, --pictures, --mesh and --identify are for a result's folder";
            return Err(Failure::usage(format_args!("write labels alone to {}: {why}", output.display())));
        }
        let products = Products {
            files: self.write.as_ref().map(|files| files.iter().flat_map(Write::products).copied().collect()),
            stored: if self.labelmap { SegmentationType::LabelMap } else { SegmentationType::Binary },
            by: if self.split_lesions { SegmentsBy::Lesion } else { SegmentsBy::Label },
        };
        let scan = ScanOptions { series: self.series.clone(), strict: self.strict };
        Ok(Options { last, liver: self.liver.clone(), scan, products })
    }
}

/// Whether a path looks like that of a DICOM object, or of an image in a format that is not written.
fn is_other_image(path: &Path) -> bool {
    let is = |ending: &OsStr| ["dcm", "mhd", "nhdr", "hdr", "img"].iter().any(|of| ending.eq_ignore_ascii_case(of));
    path.extension().is_some_and(is)
}

fn line(case: &PlannedCase, findings: &Findings) -> String {
    format!("{}: {}\n  in {}\n", case.name, text::summary(findings), case.destination.path().display())
}
