//! What a file is: its header, its grid and its intensities.

use std::path::Path;

use hepar_formats::{
    DicomError, HeaderInfo, ReadErrorKind, ScanOptions, SeriesInfo, Warning, inspect_with, list_series, read_labels,
    read_scan_with,
};

use crate::error::Error;

/// What is in a file.
#[derive(Debug)]
pub struct Info {
    /// The series of a DICOM file, folder or archive; none of other files.
    pub series: Vec<SeriesInfo>,
    /// What the header says; of DICOM that of the series that is taken, `None` when none can be.
    pub header: Option<HeaderInfo>,
    /// What the voxels are, or why they cannot be used.
    pub voxels: Result<Voxels, Error>,
}

/// What the voxels of a file are.
#[derive(Debug, Clone, PartialEq)]
pub enum Voxels {
    /// Intensities; Hounsfield units rounded to whole numbers if it is a CT.
    Intensities {
        /// Smallest.
        min: i16,
        /// Largest.
        max: i16,
        /// Whether they look like Hounsfield units: there is fat or air.
        hounsfield: bool,
    },
    /// A few whole numbers.
    Labels(Vec<LabelCount>),
}

/// How much of a volume has one label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelCount {
    /// The label.
    pub label: u8,
    /// How many voxels have it.
    pub voxels: u64,
    /// Their volume in millilitres.
    pub ml: f64,
}

impl Info {
    /// Looks at the file `path`, or at the DICOM files in a folder or an archive.
    ///
    /// # Errors
    /// When the header cannot be read. What is wrong with the voxels is in [`Info::voxels`].
    pub fn of(path: &Path, options: &ScanOptions) -> Result<Self, Error> {
        let series = list_series(path, options)?.unwrap_or_default();
        let header = match inspect_with(path, options) {
            Ok(header) => Some(header),
            // Segmentations and the like are no scans; the voxels will tell.
            Err(_) if !series.is_empty() => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { series, header, voxels: voxels(path, options) })
    }

    /// What the readers found, without the warning that [`Voxels::Intensities`] states.
    pub fn warnings(&self) -> &[Warning] {
        self.header.as_ref().map_or(&[], |header| &header.warnings)
    }
}

fn voxels(path: &Path, options: &ScanOptions) -> Result<Voxels, Error> {
    let scan = match read_scan_with(path, options) {
        Err(error) if matches!(error.kind(), ReadErrorKind::LooksLikeLabels { .. }) => return labels(path),
        Err(error) if matches!(error.kind(), ReadErrorKind::Dicom(DicomError::NoSeries(_))) && path.is_file() => {
            // A segmentation, if anything.
            return labels(path).map_err(|_| error.into());
        }
        scan => scan?,
    };
    let (min, max) = scan.volume.data().iter().fold((i16::MAX, i16::MIN), |(min, max), &v| (min.min(v), max.max(v)));
    let hounsfield = !scan.warnings.iter().any(|warning| matches!(warning, Warning::NotHounsfield { .. }));
    Ok(Voxels::Intensities { min, max, hounsfield })
}

fn labels(path: &Path) -> Result<Voxels, Error> {
    let labels = read_labels(path)?.volume;
    let mut counts = [0u64; 256];
    labels.data().iter().for_each(|&label| counts[usize::from(label)] += 1);
    let ml = labels.geometry().voxel_volume() / 1000.0;
    let present = (0..=u8::MAX).zip(counts).filter(|(_, voxels)| *voxels > 0);
    Ok(Voxels::Labels(present.map(|(label, voxels)| LabelCount { label, voxels, ml: voxels as f64 * ml }).collect()))
}
