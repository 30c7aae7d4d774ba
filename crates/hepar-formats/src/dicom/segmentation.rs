//! Labels as a DICOM segmentation: PS3.3 A.51 and C.8.20.

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use hepar_volume::Volume;
use ndarray::Array2;

use crate::dicom::codes;
use crate::dicom::compose::{
    Composition, Element, Kind, Provenance, date_and_time, decimals, derived_uid, item, reference, referenced_series,
    sequence, short, text,
};
use crate::dicom::object::Attributes;
use crate::dicom::source::{DicomSource, SourceFrame};
use crate::error::{WriteError, WriteErrorKind};
use crate::segments::{Meaning, Segment, Segments, SegmentsBy};

/// How a segmentation is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SegmentationType {
    /// A bit a voxel and segment; what most programs read. The liver's segment includes the tumours.
    #[default]
    Binary,
    /// A number a voxel, in the newer Label Map class: smaller and quicker, and not yet read by all. Tumours are not
    /// part of the liver's segment.
    LabelMap,
}

/// Written references to a segmentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentationReference {
    pub(crate) sop_class: &'static str,
    pub(crate) sop_uid: String,
    pub(crate) series_uid: String,
    pub(crate) by: SegmentsBy,
}

/// Frames under construction.
#[derive(Default)]
struct Frames {
    groups: Vec<InMemDicomObject>,
    pixels: Pixels,
}

/// Pixels of all frames, one behind the other.
#[derive(Default)]
struct Pixels {
    bytes: Vec<u8>,
    /// Bits of the last byte that are taken.
    bits: usize,
}

/// What is in the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// A bit a voxel; a frame for each segment and slice.
    Bits,
    /// A segment's number a voxel, of 8 or 16 bits; a frame for each slice.
    Numbers { bits: u16 },
    /// A probability a voxel, 255 for 1; a frame for each segment and slice.
    Probabilities,
}

/// A segmentation but for what all objects have.
struct Body<'a> {
    kind: Kind,
    list: &'a [Segment],
    stored: Stored,
    frames: Frames,
}

/// See [`crate::write_segmentation`].
pub(crate) fn write(
    path: &Path,
    labels: &Volume<u8>,
    source: &DicomSource,
    (stored, by): (SegmentationType, SegmentsBy),
    made: &Provenance,
) -> Result<SegmentationReference, WriteError> {
    if !source.has_grid_of(labels) {
        return Err(WriteError::new(path, WriteErrorKind::Elsewhere));
    }
    let segments = Segments::of(labels, by);
    let on_frames: Vec<Array2<u16>> =
        source.frames.iter().map(|frame| source.on_frame(&segments.numbers, frame)).collect();
    let (stored, frames) = match stored {
        SegmentationType::Binary => (Stored::Bits, binary(source, &segments, &on_frames)),
        SegmentationType::LabelMap => {
            let bits = if segments.list.len() > usize::from(u8::MAX) { 16 } else { 8 };
            (Stored::Numbers { bits }, label_map(source, &on_frames, bits))
        }
    };
    let kind = Kind {
        sop_class: stored.sop_class(),
        modality: "SEG",
        series_number: 9001,
        description: "Liver and tumours (hepar)",
    };
    let body = Body { kind, list: &segments.list, stored, frames };
    let composition = compose(source, body, made);
    let reference = SegmentationReference {
        sop_class: stored.sop_class(),
        sop_uid: composition.sop_uid.clone(),
        series_uid: composition.data.text(tags::SERIES_INSTANCE_UID).unwrap_or_default(),
        by,
    };
    composition.write(path)?;
    Ok(reference)
}

/// See [`crate::write_fractional_segmentation`].
pub(crate) fn write_fractional(
    path: &Path,
    probabilities: &[(Meaning, &Volume<u8>)],
    source: &DicomSource,
    made: &Provenance,
) -> Result<(), WriteError> {
    if !probabilities.iter().all(|(_, volume)| source.has_grid_of(volume)) {
        return Err(WriteError::new(path, WriteErrorKind::Elsewhere));
    }
    let list: Vec<Segment> =
        probabilities.iter().zip(1..).map(|((meaning, _), number)| Segment::of_label(number, *meaning)).collect();
    let mut frames = Frames::default();
    for (segment, (_, volume)) in list.iter().zip(probabilities) {
        frames.add_segment(
            source,
            segment,
            |frame| source.on_frame(volume, frame),
            |pixels, values| {
                pixels.bytes.extend(values);
            },
        );
    }
    let kind = Kind {
        sop_class: Stored::Probabilities.sop_class(),
        modality: "SEG",
        series_number: 9004,
        description: "Probabilities of liver and tumours (hepar)",
    };
    compose(source, Body { kind, list: &list, stored: Stored::Probabilities, frames }, made).write(path)
}

fn compose(source: &DicomSource, body: Body<'_>, made: &Provenance) -> Composition {
    let Body { kind, list, stored, frames } = body;
    let mut composition = Composition::new(source, &kind, made, &frames.pixels.bytes);
    let (date, time) = date_and_time(made.made);
    let count = frames.groups.len();
    composition.put([
        text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY"),
        text(tags::CONTENT_DATE, VR::DA, date),
        text(tags::CONTENT_TIME, VR::TM, time),
        text(tags::CONTENT_LABEL, VR::CS, "LIVER"),
        text(tags::CONTENT_DESCRIPTION, VR::LO, "Liver and its tumours, found by software"),
        text(tags::CONTENT_CREATOR_NAME, VR::PN, "hepar"),
        text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00"),
        short(tags::ROWS, source.rows as u16),
        short(tags::COLUMNS, source.columns as u16),
        short(tags::SAMPLES_PER_PIXEL, 1),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        short(tags::PIXEL_REPRESENTATION, 0),
        text(tags::NUMBER_OF_FRAMES, VR::IS, count.to_string()),
        sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, [shared_groups(source)]),
        sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames.groups),
        referenced_series(source),
    ]);
    let uid = composition.sop_uid.clone();
    composition.put(dimensions(&uid, stored));
    composition.put([sequence(tags::SEGMENT_SEQUENCE, description(list, &uid))]);
    composition.put(stored.elements());
    composition.put([frames.pixels.into_element(stored)]);
    composition
}

/// Label Map Segmentation Storage, PS3.6 of 2024d.
pub(crate) const LABEL_MAP_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.66.7";

impl Stored {
    fn sop_class(self) -> &'static str {
        match self {
            Self::Bits | Self::Probabilities => uids::SEGMENTATION_STORAGE,
            Self::Numbers { .. } => LABEL_MAP_STORAGE,
        }
    }

    /// What says so: PS3.3 C.8.20.2 and C.8.20.3.
    fn elements(self) -> Vec<Element> {
        let (name, allocated) = match self {
            Self::Bits => ("BINARY", 1),
            Self::Numbers { bits } => ("LABELMAP", bits),
            Self::Probabilities => ("FRACTIONAL", 8),
        };
        let mut elements = vec![
            text(tags::SEGMENTATION_TYPE, VR::CS, name),
            short(tags::BITS_ALLOCATED, allocated),
            short(tags::BITS_STORED, allocated),
            short(tags::HIGH_BIT, allocated - 1),
        ];
        match self {
            Self::Bits => elements.push(text(tags::SEGMENTS_OVERLAP, VR::CS, "YES")),
            Self::Numbers { .. } => elements.push(short(tags::PIXEL_PADDING_VALUE, 0)),
            Self::Probabilities => elements.extend([
                text(tags::SEGMENTS_OVERLAP, VR::CS, "YES"),
                text(tags::SEGMENTATION_FRACTIONAL_TYPE, VR::CS, "PROBABILITY"),
                short(tags::MAXIMUM_FRACTIONAL_VALUE, u16::from(u8::MAX)),
            ]),
        }
        elements
    }
}

/// Frames of bits for all segments.
fn binary(source: &DicomSource, segments: &Segments, on_frames: &[Array2<u16>]) -> Frames {
    let mut frames = Frames::default();
    for segment in &segments.list {
        let holds = |numbers: &Array2<u16>| numbers.map(|number| u8::from(Segments::holds(segment, *number)));
        let mut slices = on_frames.iter();
        let mut next = |_: &SourceFrame| slices.next().map(holds).unwrap_or_default();
        frames.add_segment(source, segment, &mut next, |pixels, values| {
            pixels.push_bits(values.into_iter().map(|value| value > 0));
        });
    }
    frames
}

/// A frame for each slice.
fn label_map(source: &DicomSource, on_frames: &[Array2<u16>], bits: u16) -> Frames {
    let mut frames = Frames::default();
    for (n, (frame, numbers)) in source.frames.iter().zip(on_frames).enumerate() {
        frames.groups.push(groups(frame, n, None));
        match bits {
            16 => frames.pixels.bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes())),
            _ => frames.pixels.bytes.extend(numbers.iter().map(|number| *number as u8)),
        }
    }
    frames
}

impl Frames {
    /// A frame for each slice that a segment is in; one without voxels for a segment that is nowhere, since programs
    /// expect one.
    ///
    /// `values` are asked for of all slices in order, and those above 0 belong to the segment; `push` stores them.
    fn add_segment(
        &mut self,
        source: &DicomSource,
        segment: &Segment,
        mut values: impl FnMut(&SourceFrame) -> Array2<u8>,
        push: impl Fn(&mut Pixels, Array2<u8>),
    ) {
        let mut found = false;
        for (n, frame) in source.frames.iter().enumerate() {
            let values = values(frame);
            if values.iter().any(|&value| value > 0) {
                found = true;
                self.groups.push(groups(frame, n, Some(segment)));
                push(&mut self.pixels, values);
            }
        }
        if !found {
            let middle = source.frames.len() / 2;
            self.groups.push(groups(&source.frames[middle], middle, Some(segment)));
            push(&mut self.pixels, Array2::zeros([source.rows, source.columns]));
        }
    }
}

impl Pixels {
    /// Bits go from the lowest of a byte to the highest and on from frame to frame, PS3.5 section 8.1.1.
    fn push_bits(&mut self, voxels: impl Iterator<Item = bool>) {
        for voxel in voxels {
            if self.bits == 0 {
                self.bytes.push(0);
            }
            if let (true, Some(last)) = (voxel, self.bytes.last_mut()) {
                *last |= 1 << self.bits;
            }
            self.bits = (self.bits + 1) % 8;
        }
    }

    fn into_element(mut self, stored: Stored) -> Element {
        if stored == (Stored::Numbers { bits: 16 }) {
            let words: Vec<u16> = self.bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
            return DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.into()));
        }
        if self.bytes.len() % 2 == 1 {
            self.bytes.push(0);
        }
        DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(self.bytes.into()))
    }
}

/// Functional groups of all frames: PS3.3 C.7.6.16.2.
fn shared_groups(source: &DicomSource) -> InMemDicomObject {
    let plane = &source.frames[0].plane;
    let directions = [plane.along_row, plane.along_column].concat();
    item([
        sequence(tags::PLANE_ORIENTATION_SEQUENCE, [item([decimals(tags::IMAGE_ORIENTATION_PATIENT, &directions)])]),
        sequence(
            tags::PIXEL_MEASURES_SEQUENCE,
            [item([
                decimals(tags::SLICE_THICKNESS, &[source.thickness]),
                decimals(tags::SPACING_BETWEEN_SLICES, &[source.geometry.spacing()[0]]),
                decimals(tags::PIXEL_SPACING, &plane.spacing),
            ])],
        ),
    ])
}

/// Functional groups of one frame, which is slice `n` of the source.
fn groups(frame: &SourceFrame, n: usize, segment: Option<&Segment>) -> InMemDicomObject {
    let mut source: Vec<Element> = reference(&frame.sop_class, &frame.sop_uid).into();
    source.extend(frame.number.map(|number| text(tags::REFERENCED_FRAME_NUMBER, VR::IS, number.to_string())));
    source.push(text(tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES"));
    source.push(codes::SOURCE_IMAGE.sequence(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE));
    let derivation = item([
        codes::SEGMENTATION.sequence(tags::DERIVATION_CODE_SEQUENCE),
        sequence(tags::SOURCE_IMAGE_SEQUENCE, [item(source)]),
    ]);
    // One index for each dimension, counted from 1.
    let place = n as u32 + 1;
    let index: Vec<u32> = segment.map(|segment| u32::from(segment.number)).into_iter().chain([place]).collect();
    let content = item([DataElement::new(tags::DIMENSION_INDEX_VALUES, VR::UL, PrimitiveValue::U32(index.into()))]);
    let mut groups = vec![
        sequence(tags::DERIVATION_IMAGE_SEQUENCE, [derivation]),
        sequence(tags::FRAME_CONTENT_SEQUENCE, [content]),
        sequence(
            tags::PLANE_POSITION_SEQUENCE,
            [item([decimals(tags::IMAGE_POSITION_PATIENT, &frame.plane.position)])],
        ),
    ];
    groups.extend(segment.map(|segment| {
        let number = short(tags::REFERENCED_SEGMENT_NUMBER, segment.number);
        sequence(tags::SEGMENT_IDENTIFICATION_SEQUENCE, [item([number])])
    }));
    item(groups)
}

/// The dimensions that frames are counted along, PS3.3 C.7.6.17.
fn dimensions(uid: &str, stored: Stored) -> Vec<Element> {
    let organization = derived_uid(&[b"dimensions", uid.as_bytes()]);
    let tag = |tag, value| DataElement::new(tag, VR::AT, PrimitiveValue::from(value));
    let dimension = |pointer, group, label: &str| {
        item([
            text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &organization),
            tag(tags::DIMENSION_INDEX_POINTER, pointer),
            tag(tags::FUNCTIONAL_GROUP_POINTER, group),
            text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label),
        ])
    };
    let by_segment = dimension(tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE, "Segment");
    let by_place = dimension(tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE, "Position");
    let indices: Vec<InMemDicomObject> = match stored {
        Stored::Bits | Stored::Probabilities => vec![by_segment, by_place],
        Stored::Numbers { .. } => vec![by_place],
    };
    vec![
        sequence(
            tags::DIMENSION_ORGANIZATION_SEQUENCE,
            [item([text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &organization)])],
        ),
        sequence(tags::DIMENSION_INDEX_SEQUENCE, indices),
    ]
}

/// What the segments are: PS3.3 C.8.20.4.
fn description(list: &[Segment], uid: &str) -> Vec<InMemDicomObject> {
    list.iter()
        .map(|segment| {
            let mut elements = vec![
                short(tags::SEGMENT_NUMBER, segment.number),
                text(tags::SEGMENT_LABEL, VR::LO, &segment.name),
                text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC"),
                text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, "hepar"),
                codes::category(segment.meaning).sequence(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE),
                codes::type_of(segment.meaning).sequence(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE),
                DataElement::new(
                    tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
                    VR::US,
                    PrimitiveValue::U16(cie_lab(segment.colour).as_slice().into()),
                ),
                text(tags::TRACKING_ID, VR::UT, &segment.name),
                text(tags::TRACKING_UID, VR::UI, tracking_uid(uid, segment)),
            ];
            if segment.meaning == Meaning::Tumour {
                elements.push(codes::LIVER.sequence(tags::ANATOMIC_REGION_SEQUENCE));
            }
            item(elements)
        })
        .collect()
}

/// What names a segment in reports too.
pub(crate) fn tracking_uid(segmentation: &str, segment: &Segment) -> String {
    derived_uid(&[b"tracking", segmentation.as_bytes(), &segment.number.to_le_bytes()])
}

/// A colour of sRGB as DICOM stores CIELab (white D65 there and here): PS3.3 C.10.7.1.1.
fn cie_lab(colour: [u8; 3]) -> [u16; 3] {
    let linear = colour.map(|byte| {
        let v = f64::from(byte) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    let [r, g, b] = linear;
    let xyz = [
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
    ];
    let [x, y, z] = xyz.map(|t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 });
    let (l, a, b) = (116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z));
    [l / 100.0 * 65535.0, (a + 128.0) / 255.0 * 65535.0, (b + 128.0) / 255.0 * 65535.0].map(|v| v.round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_go_on_from_frame_to_frame() {
        let mut pixels = Pixels::default();
        pixels.push_bits([true, false, true].into_iter());
        pixels.push_bits([true; 7].into_iter());
        assert_eq!(pixels.bytes, [0b1111_1101, 0b11]);
    }

    #[test]
    fn colours_are_those_of_the_table_of_the_standard() {
        // White and black.
        assert_eq!(cie_lab([255; 3])[0], 65535);
        assert_eq!(cie_lab([0; 3]), [0, 32896, 32896]);
    }
}
