//! Labels as an RT structure set: PS3.3 A.19, C.8.8.5, C.8.8.6 and C.8.8.8.

use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use hepar_volume::Volume;
use ndarray::Array2;

use crate::dicom::codes;
use crate::dicom::compose::{
    Composition, Element, Kind, Provenance, date_and_time, decimal, empty, item, reference, sequence, text,
};
use crate::dicom::object::Attributes;
use crate::dicom::outline::{Loop, outlines};
use crate::dicom::source::{DicomSource, SourceFrame};
use crate::error::{WriteError, WriteErrorKind};
use crate::segments::{Meaning, Segment, Segments, SegmentsBy};

/// See [`crate::write_structure_set`].
pub(crate) fn write(
    path: &Path,
    labels: &Volume<u8>,
    source: &DicomSource,
    by: SegmentsBy,
    made: &Provenance,
) -> Result<(), WriteError> {
    if !source.has_grid_of(labels) {
        return Err(WriteError::new(path, WriteErrorKind::Elsewhere));
    }
    let segments = Segments::of(labels, by);
    let on_frames: Vec<Array2<u16>> =
        source.frames.iter().map(|frame| source.on_frame(&segments.numbers, frame)).collect();
    let contents: Vec<u8> = on_frames.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    let kind = Kind {
        sop_class: uids::RT_STRUCTURE_SET_STORAGE,
        modality: "RTSTRUCT",
        series_number: 9002,
        description: "Liver and tumours (hepar)",
    };
    let mut composition = Composition::new(source, &kind, made, &contents);
    let (date, time) = date_and_time(made.made);
    let frame_of_reference = composition.data.text(tags::FRAME_OF_REFERENCE_UID).unwrap_or_default();
    let study = composition.data.text(tags::STUDY_INSTANCE_UID).unwrap_or_default();
    let contours = segments.list.iter().map(|segment| contour_item(source, segment, &on_frames));
    composition.put([
        empty(tags::OPERATORS_NAME, VR::PN),
        text(tags::STRUCTURE_SET_LABEL, VR::SH, "LIVER"),
        text(tags::STRUCTURE_SET_NAME, VR::LO, "Liver and its tumours, found by software"),
        text(tags::STRUCTURE_SET_DATE, VR::DA, date),
        text(tags::STRUCTURE_SET_TIME, VR::TM, time),
        sequence(
            tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE,
            [referenced_frame_of_reference(source, &frame_of_reference, &study)],
        ),
        sequence(
            tags::STRUCTURE_SET_ROI_SEQUENCE,
            segments.list.iter().map(|segment| roi(segment, &frame_of_reference)),
        ),
        sequence(tags::ROI_CONTOUR_SEQUENCE, contours),
        sequence(tags::RTROI_OBSERVATIONS_SEQUENCE, segments.list.iter().map(observation)),
        text(tags::APPROVAL_STATUS, VR::CS, "UNAPPROVED"),
    ]);
    // A contour that winds has more bytes than decimal strings may have where values say that they are these.
    composition.write_implicit(path)
}

/// The study, the series and the instances that the contours were made on.
fn referenced_frame_of_reference(source: &DicomSource, uid: &str, study: &str) -> InMemDicomObject {
    let mut images: Vec<InMemDicomObject> = Vec::with_capacity(source.frames.len());
    let mut last = "";
    for frame in &source.frames {
        if frame.sop_uid != last {
            images.push(item(reference(&frame.sop_class, &frame.sop_uid)));
            last = &frame.sop_uid;
        }
    }
    let series = item([
        text(tags::SERIES_INSTANCE_UID, VR::UI, &source.series_uid),
        sequence(tags::CONTOUR_IMAGE_SEQUENCE, images),
    ]);
    // The class of a study is retired, and still required here.
    const DETACHED_STUDY: &str = "1.2.840.10008.3.1.2.3.1";
    let [class, instance] = reference(DETACHED_STUDY, study);
    let study = item([class, instance, sequence(tags::RT_REFERENCED_SERIES_SEQUENCE, [series])]);
    item([text(tags::FRAME_OF_REFERENCE_UID, VR::UI, uid), sequence(tags::RT_REFERENCED_STUDY_SEQUENCE, [study])])
}

fn number(tag: dicom_core::Tag, segment: &Segment) -> Element {
    text(tag, VR::IS, segment.number.to_string())
}

fn roi(segment: &Segment, frame_of_reference: &str) -> InMemDicomObject {
    item([
        number(tags::ROI_NUMBER, segment),
        text(tags::REFERENCED_FRAME_OF_REFERENCE_UID, VR::UI, frame_of_reference),
        text(tags::ROI_NAME, VR::LO, &segment.name),
        text(tags::ROI_GENERATION_ALGORITHM, VR::CS, "AUTOMATIC"),
        text(tags::ROI_GENERATION_DESCRIPTION, VR::LO, "hepar"),
    ])
}

fn observation(segment: &Segment) -> InMemDicomObject {
    item([
        number(tags::OBSERVATION_NUMBER, segment),
        number(tags::REFERENCED_ROI_NUMBER, segment),
        codes::type_of(segment.meaning).sequence(tags::RTROI_IDENTIFICATION_CODE_SEQUENCE),
        text(tags::RTROI_INTERPRETED_TYPE, VR::CS, if segment.meaning == Meaning::Liver { "ORGAN" } else { "GTV" }),
        empty(tags::ROI_INTERPRETER, VR::PN),
    ])
}

/// Colour and contours of a segment; none of one that is nowhere.
fn contour_item(source: &DicomSource, segment: &Segment, on_frames: &[Array2<u16>]) -> InMemDicomObject {
    let colour = segment.colour.map(|v| v.to_string()).join("\\");
    let mut elements =
        vec![number(tags::REFERENCED_ROI_NUMBER, segment), text(tags::ROI_DISPLAY_COLOR, VR::IS, colour)];
    let mut contours: Vec<InMemDicomObject> = Vec::new();
    for (frame, numbers) in source.frames.iter().zip(on_frames) {
        let mask = numbers.map(|number| Segments::holds(segment, *number));
        for line in outlines(mask.view()) {
            contours.push(contour(frame, &line, contours.len() + 1));
        }
    }
    if !contours.is_empty() {
        elements.push(sequence(tags::CONTOUR_SEQUENCE, contours));
    }
    item(elements)
}

/// A closed contour in the plane of a frame.
fn contour(frame: &SourceFrame, line: &Loop, number: usize) -> InMemDicomObject {
    let mut image: Vec<Element> = reference(&frame.sop_class, &frame.sop_uid).into();
    image.extend(frame.number.map(|number| text(tags::REFERENCED_FRAME_NUMBER, VR::IS, number.to_string())));
    let points = line.iter().flat_map(|[x, y]| {
        // Corners lie half a pixel before the centres that positions are of.
        frame.plane.point(f64::from(*x) - 0.5, f64::from(*y) - 0.5)
    });
    let data: Vec<String> = points.map(|mm| decimal((mm * 1e4).round() / 1e4)).collect();
    item([
        sequence(tags::CONTOUR_IMAGE_SEQUENCE, [item(image)]),
        text(tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, "CLOSED_PLANAR"),
        text(tags::NUMBER_OF_CONTOUR_POINTS, VR::IS, line.len().to_string()),
        text(tags::CONTOUR_NUMBER, VR::IS, number.to_string()),
        text(tags::CONTOUR_DATA, VR::DS, data.join("\\")),
    ])
}
