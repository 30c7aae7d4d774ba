//! What all objects that are written have in common.

use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use dicom_core::chrono::{DateTime, Local};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use sha2::{Digest, Sha256};

use crate::atomic::write_atomically;
use crate::dicom::object::{Attributes, one_line};
use crate::dicom::source::DicomSource;
use crate::error::{WriteError, WriteErrorKind};

/// The implementation class of files that hepar writes: a UUID of its own, PS3.5 Annex B.2.
const IMPLEMENTATION: &str = "2.25.220367401218365420171930318230921415013";

/// How an object came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Version of hepar.
    pub version: String,
    /// Name and version of the model; what it is in a sentence of up to 64 characters.
    pub model: String,
    /// When it was made; recorded in the time of this computer.
    pub made: SystemTime,
}

/// A concept: code, scheme, meaning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code(pub(crate) &'static str, pub(crate) &'static str, pub(crate) &'static str);

impl Code {
    /// PS3.3 section 8.
    pub(crate) fn item(self) -> InMemDicomObject {
        InMemDicomObject::from_element_iter([
            text(tags::CODE_VALUE, VR::SH, self.0),
            text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, self.1),
            text(tags::CODE_MEANING, VR::LO, self.2),
        ])
    }

    /// A sequence of this concept alone.
    pub(crate) fn sequence(self, tag: Tag) -> Element {
        sequence(tag, [self.item()])
    }
}

pub(crate) type Element = DataElement<InMemDicomObject>;

pub(crate) fn text(tag: Tag, vr: VR, value: impl Into<String>) -> Element {
    DataElement::new(tag, vr, PrimitiveValue::from(value.into()))
}

pub(crate) fn short(tag: Tag, value: u16) -> Element {
    DataElement::new(tag, VR::US, PrimitiveValue::from(value))
}

pub(crate) fn empty(tag: Tag, vr: VR) -> Element {
    DataElement::new(tag, vr, PrimitiveValue::Empty)
}

pub(crate) fn sequence(tag: Tag, items: impl IntoIterator<Item = InMemDicomObject>) -> Element {
    let items: Vec<InMemDicomObject> = items.into_iter().collect();
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

pub(crate) fn item(elements: impl IntoIterator<Item = Element>) -> InMemDicomObject {
    InMemDicomObject::from_element_iter(elements)
}

/// Numbers as decimal strings.
pub(crate) fn decimals(tag: Tag, numbers: &[f64]) -> Element {
    text(tag, VR::DS, numbers.iter().map(|number| decimal(*number)).collect::<Vec<_>>().join("\\"))
}

/// A number in at most 16 characters, as exact as they allow: PS3.5 section 6.2.
pub(crate) fn decimal(number: f64) -> String {
    let shortest = number.to_string();
    if shortest.len() <= 16 {
        return shortest;
    }
    // Fewer decimals until it fits; none are left of numbers that need an exponent.
    let fixed = (0..=14).rev().map(|decimals| format!("{number:.decimals$}")).find(|text| text.len() <= 16);
    let exact_enough = number == 0.0 || number.abs() >= 1e-6;
    fixed.filter(|_| exact_enough).unwrap_or_else(|| format!("{number:.8e}"))
}

/// A UID that is the same for the same parts: PS3.5 Annex B.2, of a version 8 UUID (RFC 9562) of their hash.
pub(crate) fn derived_uid(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let hash = hasher.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

/// An object under construction.
pub(crate) struct Composition {
    pub(crate) data: InMemDicomObject,
    sop_class: &'static str,
    pub(crate) sop_uid: String,
}

/// What kind of object is to be made.
pub(crate) struct Kind {
    pub(crate) sop_class: &'static str,
    pub(crate) modality: &'static str,
    pub(crate) series_number: u32,
    pub(crate) description: &'static str,
}

impl Composition {
    /// The modules that all objects have: patient, study, series, equipment, SOP common.
    ///
    /// UIDs follow from the source, the kind of object, what made it and its `contents`, and from nothing else.
    pub(crate) fn new(source: &DicomSource, kind: &Kind, made: &Provenance, contents: &[u8]) -> Self {
        let uid = |what: &str| {
            let parts = [what, kind.sop_class, &source.series_uid, &made.version, &made.model].map(str::as_bytes);
            let instances: Vec<u8> = source.frames.iter().flat_map(|frame| frame.sop_uid.bytes()).collect();
            derived_uid(&[&parts.concat(), &instances, contents])
        };
        let mut data = source.shared.clone();
        let (date, time) = date_and_time(made.made);
        let sop_uid = uid("instance");
        for element in [
            text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
            text(tags::INSTANCE_CREATION_DATE, VR::DA, &date),
            text(tags::INSTANCE_CREATION_TIME, VR::TM, &time),
            text(tags::SOP_CLASS_UID, VR::UI, kind.sop_class),
            text(tags::SOP_INSTANCE_UID, VR::UI, &sop_uid),
            text(tags::SERIES_DATE, VR::DA, &date),
            text(tags::SERIES_TIME, VR::TM, &time),
            text(tags::MODALITY, VR::CS, kind.modality),
            text(tags::MANUFACTURER, VR::LO, "hepar"),
            text(tags::MANUFACTURER_MODEL_NAME, VR::LO, cut(&made.model, 64)),
            text(tags::DEVICE_SERIAL_NUMBER, VR::LO, "1"),
            text(tags::SOFTWARE_VERSIONS, VR::LO, cut(&format!("hepar {}", made.version), 64)),
            text(tags::SERIES_DESCRIPTION, VR::LO, kind.description),
            text(tags::SERIES_INSTANCE_UID, VR::UI, uid("series")),
            text(tags::SERIES_NUMBER, VR::IS, kind.series_number.to_string()),
            text(tags::INSTANCE_NUMBER, VR::IS, "1"),
        ] {
            data.put(element);
        }
        for (tag, vr) in REQUIRED_EVEN_IF_EMPTY {
            if data.get(tag).is_none() {
                data.put(empty(tag, vr));
            }
        }
        // What was taken out by anonymisation is replaced, so that what belongs together stays together.
        for tag in [tags::STUDY_INSTANCE_UID, tags::FRAME_OF_REFERENCE_UID] {
            if data.text(tag).is_none() {
                let what = if tag == tags::STUDY_INSTANCE_UID { "study" } else { "frame of reference" };
                let of_source: Vec<u8> = source.frames.iter().flat_map(|frame| frame.sop_uid.bytes()).collect();
                data.put(text(tag, VR::UI, derived_uid(&[what.as_bytes(), &of_source])));
            }
        }
        Self { data, sop_class: kind.sop_class, sop_uid }
    }

    pub(crate) fn put(&mut self, elements: impl IntoIterator<Item = Element>) {
        for element in elements {
            self.data.put(element);
        }
    }

    /// Writes the object, whole or not at all.
    pub(crate) fn write(self, path: &Path) -> Result<(), WriteError> {
        self.write_in(path, uids::EXPLICIT_VR_LITTLE_ENDIAN)
    }

    /// As [`Composition::write`], in the syntax that does not say how values are represented: in the other, most of them
    /// have at most 65,534 bytes.
    pub(crate) fn write_implicit(self, path: &Path) -> Result<(), WriteError> {
        self.write_in(path, uids::IMPLICIT_VR_LITTLE_ENDIAN)
    }

    fn write_in(self, path: &Path, transfer_syntax: &str) -> Result<(), WriteError> {
        let fail = |kind| WriteError::new(path, kind);
        let compose = |error: &dyn std::error::Error| fail(WriteErrorKind::Compose(one_line(error)));
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(transfer_syntax)
            .media_storage_sop_class_uid(self.sop_class)
            .media_storage_sop_instance_uid(&self.sop_uid)
            .implementation_class_uid(IMPLEMENTATION)
            .implementation_version_name("HEPAR");
        let object = self.data.with_meta(meta).map_err(|error| compose(&error))?;
        let mut bytes = Vec::new();
        object.write_all(&mut bytes).map_err(|error| compose(&error))?;
        write_atomically(path, |file| file.write_all(&bytes)).map_err(|error| fail(error.into()))
    }
}

/// Attributes of type 2 of patient and study: they must be there, and may be empty.
const REQUIRED_EVEN_IF_EMPTY: [(Tag, VR); 9] = [
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::STUDY_ID, VR::SH),
];

/// Date and time in the time of this computer.
pub(crate) fn date_and_time(time: SystemTime) -> (String, String) {
    let local = DateTime::<Local>::from(time);
    (local.format("%Y%m%d").to_string(), local.format("%H%M%S").to_string())
}

/// The first characters of a text.
pub(crate) fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// Series and instances that an object refers to: PS3.3 C.12.2.
pub(crate) fn referenced_series(source: &DicomSource) -> Element {
    let mut instances: Vec<InMemDicomObject> = Vec::with_capacity(source.frames.len());
    let mut last = "";
    for frame in &source.frames {
        if frame.sop_uid != last {
            instances.push(item(reference(&frame.sop_class, &frame.sop_uid)));
            last = &frame.sop_uid;
        }
    }
    let series = item([
        text(tags::SERIES_INSTANCE_UID, VR::UI, &source.series_uid),
        sequence(tags::REFERENCED_INSTANCE_SEQUENCE, instances),
    ]);
    sequence(tags::REFERENCED_SERIES_SEQUENCE, [series])
}

/// Class and UID of an object that is referred to.
pub(crate) fn reference(sop_class: &str, sop_uid: &str) -> [Element; 2] {
    [text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, sop_class), text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, sop_uid)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_into_sixteen_characters_and_keep_what_they_can() {
        assert_eq!(decimal(-249.51171875), "-249.51171875");
        assert_eq!(decimal(1.0 / 3.0), "0.33333333333333");
        assert_eq!(decimal(-1234.567890123456), "-1234.5678901235");
        for number in [1e-12 / 3.0, -7.123456789e-9, 1e20 / 3.0, 0.1 + 0.2] {
            let text = decimal(number);
            assert!(text.len() <= 16, "{text}");
            assert!((text.parse::<f64>().unwrap() / number - 1.0).abs() < 1e-8, "{text}");
        }
    }

    #[test]
    fn the_same_parts_give_the_same_uid_and_others_another() {
        let uid = derived_uid(&[b"a", b"bc"]);
        assert_eq!(uid, derived_uid(&[b"a", b"bc"]));
        assert_ne!(uid, derived_uid(&[b"ab", b"c"]));
        assert!(uid.len() <= 64 && uid.starts_with("2.25."));
    }
}
