//! What objects that are made from a series need to know of it.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use hepar_volume::{Geometry, Volume};
use ndarray::{Array2, Axis};

use crate::dicom::choice::placed;
use crate::dicom::escapes::decoded;
use crate::dicom::object::Attributes;
use crate::dicom::plane::Plane;
use crate::dicom::slices::Slices;
use crate::dicom::stack::Placed;

/// Attributes of patient, study and frame of reference that derived objects share with their source: PS3.3 C.7.1.1,
/// C.7.2.1, C.7.2.2 and C.7.4.1.
const SHARED: [Tag; 20] = [
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_DESCRIPTION,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_ID,
    tags::FRAME_OF_REFERENCE_UID,
    tags::POSITION_REFERENCE_INDICATOR,
    tags::PATIENT_BIRTH_TIME,
];

/// The DICOM series that a scan was read from: enough to write segmentations, structure sets and reports of it.
#[derive(Debug, Clone)]
pub struct DicomSource {
    pub(crate) shared: InMemDicomObject,
    pub(crate) series_uid: String,
    /// Place among the volumes of the series, from 1; `None` when it is the only one.
    pub(crate) place: Option<usize>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Thickness of slices, or their distance where they do not say it.
    pub(crate) thickness: f64,
    /// Sorted along the normal.
    pub(crate) frames: Vec<SourceFrame>,
    /// The grid of the volume that the frames were read into.
    pub(crate) geometry: Geometry,
    /// Name of the series in sentences.
    pub(crate) name: String,
}

/// A slice of the source.
#[derive(Debug, Clone)]
pub(crate) struct SourceFrame {
    pub(crate) sop_class: String,
    pub(crate) sop_uid: String,
    /// Number from 1; `None` of an instance that is one slice.
    pub(crate) number: Option<u32>,
    pub(crate) plane: Plane,
    pub(crate) placed: Placed,
}

impl DicomSource {
    /// The attributes of an object that its descendants share, whose texts are in one character set.
    pub(crate) fn shared_of(data: &InMemDicomObject) -> InMemDicomObject {
        let shared = SHARED.iter().filter_map(|tag| data.get(*tag).map(decoded));
        InMemDicomObject::from_element_iter(shared)
    }

    /// Who the patient is and which study it is: names and texts of what the series says of it.
    pub fn patient(&self) -> Vec<(&'static str, String)> {
        const TOLD: [(&str, Tag); 8] = [
            ("Patient", tags::PATIENT_NAME),
            ("Patient ID", tags::PATIENT_ID),
            ("Born", tags::PATIENT_BIRTH_DATE),
            ("Sex", tags::PATIENT_SEX),
            ("Age", tags::PATIENT_AGE),
            ("Study", tags::STUDY_DESCRIPTION),
            ("Study date", tags::STUDY_DATE),
            ("Accession number", tags::ACCESSION_NUMBER),
        ];
        let told = TOLD.iter().filter_map(|(name, tag)| Some((*name, self.shared.text(*tag)?)));
        told.filter(|(_, text)| !text.is_empty()).collect()
    }

    /// `SeriesInstanceUID`.
    pub fn series_uid(&self) -> &str {
        &self.series_uid
    }

    /// What [`ScanOptions::series`](crate::ScanOptions::series) takes it by: the UID, and the place of one of several
    /// volumes of the series behind a colon.
    pub fn series(&self) -> String {
        placed(&self.series_uid, self.place)
    }

    /// Number and description of the series.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of slices.
    pub fn slices(&self) -> usize {
        self.frames.len()
    }

    /// Whether `labels` lie on the grid that the series was read into.
    pub(crate) fn has_grid_of<T>(&self, labels: &Volume<T>) -> bool {
        labels.geometry().matches(&self.geometry, 0.01 * self.geometry.spacing().into_iter().fold(f64::MAX, f64::min))
    }

    /// Where the frames are in the volume.
    pub(crate) fn slices_in_volume(&self) -> Slices {
        let frames = self.frames.iter().map(|frame| (frame.plane, frame.placed)).collect();
        Slices::new(self.geometry.clone(), [self.rows, self.columns], frames)
    }

    /// What `labels`, on the volume's grid, say of a frame: `[row, column]` of the frame; nothing where the volume ends.
    pub(crate) fn on_frame<T: Copy + Default>(&self, labels: &Volume<T>, frame: &SourceFrame) -> Array2<T> {
        let slice = labels.data().index_axis_move(Axis(0), frame.placed.k);
        let [rows, columns] = frame.placed.offset();
        let (height, width) = slice.dim();
        Array2::from_shape_fn((self.rows, self.columns), |(row, column)| {
            let (j, i) = (row + rows, column + columns);
            if j < height && i < width { slice[[j, i]] } else { T::default() }
        })
    }
}
