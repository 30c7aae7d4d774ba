//! Small CT series, written by the library that others use.

use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

pub const ROWS: usize = 6;
pub const COLUMNS: usize = 5;

/// A series of axial slices.
#[derive(Clone)]
pub struct Series {
    pub uid: &'static str,
    pub number: i32,
    pub description: &'static str,
    pub image_type: &'static str,
    pub sop_class: &'static str,
    pub modality: &'static str,
    pub orientation: [f64; 6],
    pub positions: Vec<[f64; 3]>,
    pub rescale: (f64, f64),
    pub syntax: &'static str,
    pub kernel: &'static str,
    pub patient: &'static str,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            uid: "1.2.3.4.1",
            number: 2,
            description: "Abdomen",
            image_type: "ORIGINAL\\PRIMARY\\AXIAL",
            sop_class: uids::CT_IMAGE_STORAGE,
            modality: "CT",
            orientation: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            positions: positions(4, 2.5),
            rescale: (1.0, -1024.0),
            syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN,
            kernel: "B30f",
            patient: "42",
        }
    }
}

pub fn positions(count: usize, step: f64) -> Vec<[f64; 3]> {
    (0..count).map(|n| [-10.0, -20.0, 100.0 + step * n as f64]).collect()
}

/// The intensity of a voxel in Hounsfield units, unlike any other near it.
pub fn intensity(slice: usize, row: usize, column: usize) -> i16 {
    (slice * 100 + row * 10 + column) as i16 - 900
}

impl Series {
    /// The data set of a slice.
    pub fn slice(&self, n: usize) -> InMemDicomObject {
        let mut data = InMemDicomObject::new_empty();
        let mut text = |tag: Tag, vr: VR, value: &str| {
            data.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        };
        let numbers = |numbers: &[f64]| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join("\\");
        text(tags::SOP_CLASS_UID, VR::UI, self.sop_class);
        text(tags::SOP_INSTANCE_UID, VR::UI, &format!("{}.{}", self.uid, n + 1));
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.4");
        text(tags::SERIES_INSTANCE_UID, VR::UI, self.uid);
        text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.5");
        text(tags::MODALITY, VR::CS, self.modality);
        text(tags::IMAGE_TYPE, VR::CS, self.image_type);
        text(tags::SERIES_NUMBER, VR::IS, &self.number.to_string());
        text(tags::INSTANCE_NUMBER, VR::IS, &(n + 1).to_string());
        text(tags::SERIES_DESCRIPTION, VR::LO, self.description);
        text(tags::CONVOLUTION_KERNEL, VR::SH, self.kernel);
        text(tags::PATIENT_NAME, VR::PN, "Muster^Maria");
        text(tags::PATIENT_ID, VR::LO, self.patient);
        text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &numbers(&self.orientation));
        text(tags::IMAGE_POSITION_PATIENT, VR::DS, &numbers(&self.positions[n]));
        text(tags::PIXEL_SPACING, VR::DS, "0.8\\0.7");
        text(tags::SLICE_THICKNESS, VR::DS, "2.5");
        text(tags::RESCALE_SLOPE, VR::DS, &self.rescale.0.to_string());
        text(tags::RESCALE_INTERCEPT, VR::DS, &self.rescale.1.to_string());
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
        let mut short = |tag: Tag, value: u16| {
            data.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        };
        short(tags::ROWS, ROWS as u16);
        short(tags::COLUMNS, COLUMNS as u16);
        short(tags::SAMPLES_PER_PIXEL, 1);
        short(tags::BITS_ALLOCATED, 16);
        short(tags::BITS_STORED, 16);
        short(tags::HIGH_BIT, 15);
        short(tags::PIXEL_REPRESENTATION, 1);
        let stored = |row: usize, column: usize| {
            ((f64::from(intensity(n, row, column)) - self.rescale.1) / self.rescale.0).round() as i16 as u16
        };
        let pixels: Vec<u16> = (0..ROWS * COLUMNS).map(|at| stored(at / COLUMNS, at % COLUMNS)).collect();
        data.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
        data
    }

    /// Writes a data set as a file.
    pub fn save(&self, path: &Path, data: InMemDicomObject) {
        let meta = FileMetaTableBuilder::new().transfer_syntax(self.syntax);
        data.with_meta(meta).unwrap().write_to_file(path).unwrap();
    }

    /// Writes all slices into `folder`, in an order that is not theirs, and gives their files.
    pub fn write(&self, folder: &Path) -> Vec<PathBuf> {
        self.write_with(folder, |_, _| ())
    }

    /// As [`Series::write`], with slices changed before they are written.
    pub fn write_with(&self, folder: &Path, change: impl Fn(usize, &mut InMemDicomObject)) -> Vec<PathBuf> {
        std::fs::create_dir_all(folder).unwrap();
        (0..self.positions.len())
            .map(|n| {
                let path = folder.join(format!("{:02}-{}.dcm", (n * 7 + 3) % 10, n));
                let mut data = self.slice(n);
                change(n, &mut data);
                self.save(&path, data);
                path
            })
            .collect()
    }
}

/// Puts a text into a data set.
pub fn put(data: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    data.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

/// An error and its causes in one line, without the path.
pub fn sentence(error: &hepar_formats::ReadError) -> String {
    let mut text = error.kind().to_string();
    let mut cause = std::error::Error::source(error.kind());
    while let Some(error) = cause {
        if !text.ends_with(&error.to_string()) {
            text = format!("{text}: {error}");
        }
        cause = error.source();
    }
    text
}
