//! One scan from its file to its labels.

use std::path::{Path, PathBuf};
use std::time::Instant;

use hepar_formats::{Scan, ScanOptions, read_labels_of, read_scan_with};
use hepar_model::bundle::Bundle;
use hepar_model::engine::Engine;
use hepar_pipeline::{Findings, LastStage, Pipeline, Request, Segmentation};
use hepar_volume::{Volume, stored_like};

use crate::cases::case_name;
use crate::engine::EngineChoice;
use crate::error::{Error, ErrorKind};
use crate::manifest::{InputFile, ModelIdentity};
use crate::output::Products;
use crate::watch::Listener;

/// What is said of the engine when tumours are looked for in mirrored windows too.
pub(crate) const MIRRORED: &str = ", tumours in mirrored windows too";

/// A model with its networks ready: segments one scan after the other.
pub struct Segmenter {
    pipeline: Pipeline,
    model: ModelIdentity,
    engine: String,
}

/// What is wanted of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where to stop.
    pub last: LastStage,
    /// File of the liver (label ≥ 1) if it is known already, on the scan's grid in any order of its axes.
    pub liver: Option<PathBuf>,
    /// How the scan is read: which DICOM series, and whether it is mended.
    pub scan: ScanOptions,
    /// What is written of it.
    pub products: Products,
}

/// A scan with its labels and where they come from.
#[derive(Debug)]
pub struct SegmentedCase {
    /// Name of the case.
    pub name: String,
    /// The scan.
    pub scan: Scan,
    /// Labels on the scan's grid, and what they say.
    pub segmentation: Segmentation,
    /// The scan's file.
    pub input: InputFile,
    /// The file of the liver, if it was given.
    pub liver: Option<InputFile>,
    /// Where the stages ended.
    pub last: LastStage,
    /// Which model it was.
    pub model: ModelIdentity,
    /// What ran the networks: engine and device.
    pub engine: String,
    /// What is written of it.
    pub products: Products,
    /// Wall time of reading the files, in seconds.
    pub read_seconds: f64,
    /// When the work began.
    pub started: Instant,
}

impl Default for Options {
    /// All stages, no given liver, what is usual of the scan's format.
    fn default() -> Self {
        Self { last: LastStage::Tumour, liver: None, scan: ScanOptions::default(), products: Products::default() }
    }
}

impl Segmenter {
    /// Makes the networks of a model ready to run on the processor.
    ///
    /// # Errors
    /// When the weights do not fit, or the engine cannot run a network.
    pub fn new(bundle: &Bundle) -> Result<Self, Error> {
        Self::with_engine(bundle, EngineChoice::default().open()?.as_ref())
    }

    /// Makes the networks of a model ready to run in an engine.
    ///
    /// # Errors
    /// As [`Segmenter::new`].
    pub fn with_engine(bundle: &Bundle, engine: &dyn Engine) -> Result<Self, Error> {
        let pipeline = Pipeline::load(bundle, engine).map_err(ErrorKind::Prepare)?;
        Ok(Self { pipeline, model: ModelIdentity::of(bundle), engine: engine.name() })
    }

    /// Looks for tumours in mirrored windows too from now on: four times the work.
    pub fn mirror_tumours(&mut self) {
        self.pipeline.mirror_tumours();
        self.engine += MIRRORED;
    }

    /// Segments the scan in a file.
    ///
    /// Warnings of the readers and cautions of the findings go to the `listener`, which may also call the work off.
    ///
    /// # Errors
    /// When a file cannot be read, the given liver is not on the scan's grid, the engine fails, or the listener has
    /// called the work off.
    pub fn segment(
        &mut self,
        input: &Path,
        options: &Options,
        listener: &dyn Listener,
    ) -> Result<SegmentedCase, Error> {
        let started = Instant::now();
        let name = case_name(input);
        listener.doing(&format!("reading {name}"));
        let scan = read_scan_with(input, &options.scan)?;
        options.products.check(input, scan.dicom.is_some())?;
        scan.warnings.iter().for_each(|warning| listener.warn(&format_args!("{}: {warning}", input.display())));
        let given = match &options.liver {
            Some(path) => Some(read_liver(path, &scan, listener)?),
            None => None,
        };
        let liver = options.liver.as_deref().map(InputFile::of_labels).transpose()?;
        let file = InputFile::of_scan(input, scan.series())?;
        let read_seconds = started.elapsed().as_secs_f64();
        let request =
            Request { last: options.last, liver: given.as_ref(), probabilities: options.products.need_probabilities() };
        let segmentation = self
            .pipeline
            .segment(&scan.volume, &request, listener)
            .map_err(|error| Error::of_segmenting(input.to_owned(), error))?;
        let cautions = &segmentation.findings.cautions;
        cautions.iter().for_each(|caution| listener.warn(&format_args!("{}: {caution}", input.display())));
        Ok(SegmentedCase {
            name,
            scan,
            segmentation,
            input: file,
            liver,
            last: options.last,
            model: self.model.clone(),
            engine: self.engine.clone(),
            products: options.products.clone(),
            read_seconds,
            started,
        })
    }
}

impl SegmentedCase {
    /// What the labels say.
    pub fn findings(&self) -> &Findings {
        &self.segmentation.findings
    }
}

/// Reads the liver of a scan and stores it in the order of the scan's axes.
fn read_liver(path: &Path, scan: &Scan, listener: &dyn Listener) -> Result<Volume<u8>, Error> {
    let labels = read_labels_of(path, scan)?;
    labels.warnings.iter().for_each(|warning| listener.warn(&format_args!("{}: {warning}", path.display())));
    Ok(stored_like(labels.volume, scan.volume.geometry()))
}
