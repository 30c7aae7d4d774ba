use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use hepar::convert::{Conversion, DicomObject, convert};
use hepar::output::{ImageFile, plan_new_file};
use hepar::watch::Terminal;
use hepar::{ScanOptions, exit};
use hepar_formats::{SegmentationType, SegmentsBy, names_an_image};

use super::{Failure, check_series, interrupt};

const EXAMPLES: &str = "\
Examples:
  hepar convert STUDY ct.nii.gz                           a DICOM series as NIfTI
  hepar convert labels.nii.gz seg.dcm --like STUDY        labels as a DICOM segmentation of their series
  hepar convert labels.nii.gz rt.dcm --like STUDY --as rtstruct
  hepar convert seg.dcm labels.nii.gz --like STUDY        and back, on the grid of the series
  hepar convert labels.nii.gz labels.seg.nrrd             for 3D Slicer
  hepar convert 3Dircadb1.7 labels.nii.gz --labels        liver and tumours of a patient of 3D-IRCADb

Read: NIfTI, NRRD, MetaImage; DICOM series, segmentations and structure sets; 3D-IRCADb's folders.
Written: .nii, .nii.gz, .nrrd, .seg.nrrd, .mha; labels as .dcm.";

/// Write a scan or labels in another format
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A scan or labels: a file, a DICOM folder, or a zip archive
    input: PathBuf,
    /// The new file; its ending says the format
    output: PathBuf,
    /// The scan that labels belong to; its DICOM series, where they become .dcm
    #[arg(long, value_name = "SCAN")]
    like: Option<PathBuf>,
    /// What labels become in .dcm
    #[arg(long = "as", value_enum, default_value_t, value_name = "OBJECT")]
    object: Object,
    /// UID or number of the DICOM series; 3:2 is the second volume of series 3 [default: chosen by rules]
    #[arg(long, value_name = "UID")]
    series: Option<String>,
    /// Refuse a DICOM series in which anything would have to be mended
    #[arg(long)]
    strict: bool,
    /// The labels of a folder that holds a scan too: a patient of 3D-IRCADb
    #[arg(long)]
    labels: bool,
    /// Cysts of the liver count as tumours there
    #[arg(long, requires = "labels")]
    cysts_as_tumours: bool,
    /// Store a segmentation as a label map
    #[arg(long)]
    labelmap: bool,
    /// A segment for each lesion
    #[arg(long)]
    split_lesions: bool,
    /// Replace an image that hepar wrote; not a DICOM object
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Object {
    /// DICOM segmentation
    #[default]
    Seg,
    /// DICOM RT structure set
    Rtstruct,
}

impl Arguments {
    pub fn run(self) -> Result<u8, Failure> {
        let inputs: Vec<&Path> = [Some(self.input.as_path()), self.like.as_deref()].into_iter().flatten().collect();
        // Of labels in a file of their own, it is the series of --like.
        let scan = self.like.as_deref().filter(|_| names_an_image(&self.input)).unwrap_or(&self.input);
        check_series(self.series.as_deref(), scan)?;
        match names_an_image(&self.output) {
            true => drop(ImageFile::plan(&self.output, self.force, &inputs)?),
            false => plan_new_file(&self.output)?,
        }
        let conversion = Conversion {
            scan: ScanOptions { series: self.series, strict: self.strict },
            like: self.like.clone(),
            object: match self.object {
                Object::Seg => DicomObject::Segmentation,
                Object::Rtstruct => DicomObject::StructureSet,
            },
            labels: self.labels,
            cysts_are_tumours: self.cysts_as_tumours,
            stored: if self.labelmap { SegmentationType::LabelMap } else { SegmentationType::Binary },
            by: if self.split_lesions { SegmentsBy::Lesion } else { SegmentsBy::Label },
        };
        let terminal = Terminal::new(interrupt()?, false);
        let done = convert(&self.input, &self.output, &conversion, &terminal);
        terminal.clear();
        done?;
        Ok(exit::DONE)
    }
}
