//! Measurements as a structured report: Comprehensive SR (PS3.3 A.35.3) after TID 1500 of PS3.16.

use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::dicom::codes;
use crate::dicom::compose::{
    Code, Composition, Element, Kind, Provenance, date_and_time, decimal, derived_uid, item, reference,
    referenced_series, sequence, short, text,
};
use crate::dicom::object::Attributes;
use crate::dicom::segmentation::SegmentationReference;
use crate::dicom::source::DicomSource;
use crate::error::WriteError;
use crate::segments::{Meaning, SegmentsBy};

/// What was measured of a liver.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurements {
    /// Volume of the liver with its tumours, in millilitres; 0 when none was found.
    pub liver_ml: f64,
    /// Volume of all tumours, in millilitres; `None` when they were not looked for.
    pub tumour_ml: Option<f64>,
    /// The lesions, the largest first.
    pub lesions: Vec<LesionMeasures>,
}

/// What was measured of a lesion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LesionMeasures {
    /// Volume in millilitres.
    pub volume_ml: f64,
    /// Longest diameter in a slice, in millimetres.
    pub long_axis_mm: f64,
    /// Longest perpendicular diameter in the same slice, in millimetres.
    pub short_axis_mm: f64,
    /// Mean in Hounsfield units.
    pub mean_hu: f64,
}

const MEASUREMENT_REPORT: Code = Code("126000", "DCM", "Imaging Measurement Report");
const LANGUAGE: Code = Code("121049", "DCM", "Language of Content Item and Descendants");
const ENGLISH: Code = Code("en", "RFC5646", "English");
const OBSERVER_TYPE: Code = Code("121005", "DCM", "Observer Type");
const DEVICE: Code = Code("121007", "DCM", "Device");
const DEVICE_UID: Code = Code("121012", "DCM", "Device Observer UID");
const DEVICE_NAME: Code = Code("121013", "DCM", "Device Observer Name");
const DEVICE_MODEL: Code = Code("121015", "DCM", "Device Observer Model Name");
const PROCEDURE: Code = Code("121058", "DCM", "Procedure reported");
const CT: Code = Code("77477000", "SCT", "Computed Tomography");
const MEASUREMENTS: Code = Code("126010", "DCM", "Imaging Measurements");
const GROUP: Code = Code("125007", "DCM", "Measurement Group");
const TRACKING_ID: Code = Code("112039", "DCM", "Tracking Identifier");
const TRACKING_UID: Code = Code("112040", "DCM", "Tracking Unique Identifier");
const FINDING: Code = Code("121071", "DCM", "Finding");
const FINDING_SITE: Code = Code("363698007", "SCT", "Finding Site");
const SEGMENT: Code = Code("121191", "DCM", "Referenced Segment");
const SOURCE_SERIES: Code = Code("121232", "DCM", "Source series for segmentation");
const VOLUME: Code = Code("118565006", "SCT", "Volume");
const LONG_AXIS: Code = Code("103339001", "SCT", "Long Axis");
const SHORT_AXIS: Code = Code("103340004", "SCT", "Short Axis");
const ATTENUATION: Code = Code("112031", "DCM", "Attenuation Coefficient");
const DERIVATION: Code = Code("121401", "DCM", "Derivation");
const MEAN: Code = Code("373098007", "SCT", "Mean");
const CUBIC_CENTIMETRE: Code = Code("cm3", "UCUM", "cubic centimeter");
const MILLIMETRE: Code = Code("mm", "UCUM", "millimeter");
const HOUNSFIELD_UNIT: Code = Code("[hnsf'U]", "UCUM", "Hounsfield unit");

/// The segment that a group of measurements belongs to.
struct Subject<'a> {
    name: String,
    meaning: Meaning,
    /// Its number in the segmentation, where it is one of its own there.
    segment: Option<(u16, &'a SegmentationReference)>,
}

/// See [`crate::write_measurements`].
pub(crate) fn write(
    path: &Path,
    measured: &Measurements,
    source: &DicomSource,
    segmentation: Option<&SegmentationReference>,
    made: &Provenance,
) -> Result<(), WriteError> {
    let kind = Kind {
        sop_class: uids::COMPREHENSIVE_SR_STORAGE,
        modality: "SR",
        series_number: 9003,
        description: "Measurements of the liver (hepar)",
    };
    let contents = format!("{measured:?} {:?}", segmentation.map(|reference| &reference.sop_uid));
    let mut composition = Composition::new(source, &kind, made, contents.as_bytes());
    // Reports lie nowhere.
    for tag in [tags::FRAME_OF_REFERENCE_UID, tags::POSITION_REFERENCE_INDICATOR] {
        composition.data.remove_element(tag);
    }
    let (date, time) = date_and_time(made.made);
    let study = composition.data.text(tags::STUDY_INSTANCE_UID).unwrap_or_default();
    composition.put([
        sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, []),
        sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, []),
        text(tags::CONTENT_DATE, VR::DA, date),
        text(tags::CONTENT_TIME, VR::TM, time),
        text(tags::COMPLETION_FLAG, VR::CS, "COMPLETE"),
        text(tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED"),
        text(tags::PRELIMINARY_FLAG, VR::CS, "PRELIMINARY"),
        sequence(tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE, [of_study(&study, referenced_series(source), source)]),
    ]);
    composition.put(
        segmentation.map(|reference| {
            sequence(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, [evidence(&study, reference)])
        }),
    );
    let uid = composition.sop_uid.clone();
    composition.put(root(measured, source, segmentation, made, &uid));
    composition.write(path)
}

/// The source's series below its study; reports list instances under another name.
fn of_study(study: &str, referenced: Element, source: &DicomSource) -> InMemDicomObject {
    let instances = referenced
        .items()
        .and_then(|items| items.first())
        .map(|series| series.items(tags::REFERENCED_INSTANCE_SEQUENCE).to_vec());
    let series = item([
        text(tags::SERIES_INSTANCE_UID, VR::UI, &source.series_uid),
        sequence(tags::REFERENCED_SOP_SEQUENCE, instances.unwrap_or_default()),
    ]);
    item([text(tags::STUDY_INSTANCE_UID, VR::UI, study), sequence(tags::REFERENCED_SERIES_SEQUENCE, [series])])
}

fn evidence(study: &str, segmentation: &SegmentationReference) -> InMemDicomObject {
    let instance = item(reference(segmentation.sop_class, &segmentation.sop_uid));
    let series = item([
        text(tags::SERIES_INSTANCE_UID, VR::UI, &segmentation.series_uid),
        sequence(tags::REFERENCED_SOP_SEQUENCE, [instance]),
    ]);
    item([text(tags::STUDY_INSTANCE_UID, VR::UI, study), sequence(tags::REFERENCED_SERIES_SEQUENCE, [series])])
}

/// The elements of the root, TID 1500.
fn root(
    measured: &Measurements,
    source: &DicomSource,
    segmentation: Option<&SegmentationReference>,
    made: &Provenance,
    uid: &str,
) -> Vec<Element> {
    let device = derived_uid(&[b"device", made.version.as_bytes(), made.model.as_bytes()]);
    let children = [
        code_item("HAS CONCEPT MOD", LANGUAGE, ENGLISH),
        code_item("HAS OBS CONTEXT", OBSERVER_TYPE, DEVICE),
        uid_item("HAS OBS CONTEXT", DEVICE_UID, &device),
        text_item("HAS OBS CONTEXT", DEVICE_NAME, &format!("hepar {}", made.version)),
        text_item("HAS OBS CONTEXT", DEVICE_MODEL, &made.model),
        code_item("HAS CONCEPT MOD", PROCEDURE, CT),
        container("CONTAINS", MEASUREMENTS, groups(measured, source, segmentation, uid)),
    ];
    vec![
        text(tags::VALUE_TYPE, VR::CS, "CONTAINER"),
        MEASUREMENT_REPORT.sequence(tags::CONCEPT_NAME_CODE_SEQUENCE),
        text(tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE"),
        template("1500"),
        sequence(tags::CONTENT_SEQUENCE, children),
    ]
}

fn template(number: &str) -> Element {
    let identification =
        item([text(tags::MAPPING_RESOURCE, VR::CS, "DCMR"), text(tags::TEMPLATE_IDENTIFIER, VR::CS, number)]);
    sequence(tags::CONTENT_TEMPLATE_SEQUENCE, [identification])
}

/// A group for the liver, one for all tumours, and one for each lesion.
fn groups(
    measured: &Measurements,
    source: &DicomSource,
    segmentation: Option<&SegmentationReference>,
    uid: &str,
) -> Vec<InMemDicomObject> {
    let by = segmentation.map(|segmentation| segmentation.by);
    let segment = |number: u16| segmentation.map(|segmentation| (number, segmentation));
    let subject = |name: &str, meaning, segment| Subject { name: name.to_owned(), meaning, segment };
    let liver = subject("Liver", Meaning::Liver, segment(1));
    let mut groups = vec![group(&liver, &[volume(measured.liver_ml)], source, uid)];
    groups.extend(measured.tumour_ml.map(|ml| {
        let of_all = segment(2).filter(|_| by == Some(SegmentsBy::Label));
        group(&subject("Liver tumour", Meaning::Tumour, of_all), &[volume(ml)], source, uid)
    }));
    for (n, lesion) in measured.lesions.iter().enumerate() {
        let own = u16::try_from(n + 2).ok().filter(|_| by == Some(SegmentsBy::Lesion)).and_then(segment);
        let name = format!("Liver tumour {}", n + 1);
        let measures = [
            volume(lesion.volume_ml),
            number_item(LONG_AXIS, lesion.long_axis_mm, MILLIMETRE, None),
            number_item(SHORT_AXIS, lesion.short_axis_mm, MILLIMETRE, None),
            number_item(ATTENUATION, lesion.mean_hu, HOUNSFIELD_UNIT, Some(MEAN)),
        ];
        groups.push(group(&subject(&name, Meaning::Tumour, own), &measures, source, uid));
    }
    groups
}

/// TID 1411 where there is a segment, else TID 1501.
fn group(subject: &Subject, measures: &[InMemDicomObject], source: &DicomSource, uid: &str) -> InMemDicomObject {
    let tracking = match &subject.segment {
        Some((number, segmentation)) => {
            derived_uid(&[b"tracking", segmentation.sop_uid.as_bytes(), &number.to_le_bytes()])
        }
        None => derived_uid(&[b"tracking", uid.as_bytes(), subject.name.as_bytes()]),
    };
    let mut children = vec![
        text_item("HAS OBS CONTEXT", TRACKING_ID, &subject.name),
        uid_item("HAS OBS CONTEXT", TRACKING_UID, &tracking),
        code_item("CONTAINS", FINDING, codes::type_of(subject.meaning)),
    ];
    if let Some((number, segmentation)) = subject.segment {
        let [class, instance] = reference(segmentation.sop_class, &segmentation.sop_uid);
        let segment = item([class, instance, short(tags::REFERENCED_SEGMENT_NUMBER, number)]);
        let mut image = content("CONTAINS", "IMAGE", SEGMENT);
        image.put(sequence(tags::REFERENCED_SOP_SEQUENCE, [segment]));
        children.push(image);
        children.push(uid_item("CONTAINS", SOURCE_SERIES, &source.series_uid));
    }
    children.push(code_item("HAS CONCEPT MOD", FINDING_SITE, codes::LIVER));
    children.extend(measures.iter().cloned());
    let mut group = container("CONTAINS", GROUP, children);
    group.put(template(if subject.segment.is_some() { "1411" } else { "1501" }));
    group
}

fn volume(ml: f64) -> InMemDicomObject {
    number_item(VOLUME, ml, CUBIC_CENTIMETRE, None)
}

/// A content item without its value, PS3.3 C.17.3.
fn content(relationship: &str, value_type: &str, concept: Code) -> InMemDicomObject {
    item([
        text(tags::RELATIONSHIP_TYPE, VR::CS, relationship),
        text(tags::VALUE_TYPE, VR::CS, value_type),
        concept.sequence(tags::CONCEPT_NAME_CODE_SEQUENCE),
    ])
}

fn with(mut item: InMemDicomObject, element: Element) -> InMemDicomObject {
    item.put(element);
    item
}

fn code_item(relationship: &str, concept: Code, value: Code) -> InMemDicomObject {
    with(content(relationship, "CODE", concept), value.sequence(tags::CONCEPT_CODE_SEQUENCE))
}

fn text_item(relationship: &str, concept: Code, value: &str) -> InMemDicomObject {
    with(content(relationship, "TEXT", concept), text(tags::TEXT_VALUE, VR::UT, value))
}

fn uid_item(relationship: &str, concept: Code, value: &str) -> InMemDicomObject {
    with(content(relationship, "UIDREF", concept), text(tags::UID, VR::UI, value))
}

fn container(relationship: &str, concept: Code, children: Vec<InMemDicomObject>) -> InMemDicomObject {
    let mut container = content(relationship, "CONTAINER", concept);
    container.put(text(tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE"));
    container.put(sequence(tags::CONTENT_SEQUENCE, children));
    container
}

/// A number to three decimals, as the other tables have them.
fn number_item(concept: Code, value: f64, unit: Code, derivation: Option<Code>) -> InMemDicomObject {
    let measured = item([
        text(tags::NUMERIC_VALUE, VR::DS, decimal((value * 1e3).round() / 1e3 + 0.0)),
        unit.sequence(tags::MEASUREMENT_UNITS_CODE_SEQUENCE),
    ]);
    let mut number = content("CONTAINS", "NUM", concept);
    number.put(sequence(tags::MEASURED_VALUE_SEQUENCE, [measured]));
    if let Some(derivation) = derivation {
        let how = code_item("HAS CONCEPT MOD", DERIVATION, derivation);
        number.put(sequence(tags::CONTENT_SEQUENCE, [how]));
    }
    number
}
