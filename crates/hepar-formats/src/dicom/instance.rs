//! Images as their headers describe them.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::dicom::error::DicomError;
use crate::dicom::object::{Attributes, Object};
use crate::dicom::place::Place;
use crate::dicom::plane::Plane;
use crate::dicom::structure::PixelElement;
use crate::dicom::syntax::Syntax;

/// The most frames of an object: more than any scanner makes.
const MOST_FRAMES: u32 = 65_536;

/// The most pixels of a compressed frame, 8192 × 8192: a few bytes of a stream may stand for all of them.
const MOST_PIXELS: usize = 1 << 26;

/// An object with pixels, or without.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) place: Place,
    pub(crate) sop_class: String,
    pub(crate) sop_uid: String,
    pub(crate) series_uid: String,
    /// `PatientID`; empty where there is none.
    pub(crate) patient: String,
    pub(crate) modality: String,
    pub(crate) number: Option<i64>,
    /// Series description, protocol and contrast agent: what hints are looked for in.
    pub(crate) description: String,
    pub(crate) protocol: String,
    pub(crate) contrast: String,
    pub(crate) kernel: String,
    pub(crate) image_type: Vec<String>,
    /// What tells scans of one series apart.
    pub(crate) acquisition: [Option<String>; 3],
    /// `None` of objects without pixels of one grey value.
    pub(crate) image: Option<Image>,
}

/// The pixels of an instance.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) syntax: Syntax,
    pub(crate) pixels: PixelElement,
    pub(crate) samples: Samples,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Where frames lie; `None` of a frame that does not say.
    pub(crate) frames: Vec<Option<Frame>>,
}

/// How stored bits are numbers: PS3.3 C.7.6.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Samples {
    /// Bits allocated: 8 or 16 of what is decoded, 1 of what is not.
    pub(crate) allocated: u16,
    pub(crate) stored: u16,
    pub(crate) high_bit: u16,
    pub(crate) signed: bool,
    /// First and last stored number that mean "nothing was measured here", both included.
    pub(crate) padding: Option<(i32, i32)>,
}

/// A slice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) plane: Plane,
    /// Slope and intercept.
    pub(crate) rescale: (f64, f64),
    /// Thickness of the slice in millimetres.
    pub(crate) thickness: Option<f64>,
}

impl Instance {
    /// What the header of an object says.
    ///
    /// # Errors
    /// When its structure is not sound.
    pub(crate) fn read(place: &Place) -> Result<Self, DicomError> {
        let object = Object::read(place)?;
        Self::of(place.clone(), &object)
    }

    pub(crate) fn of(place: Place, object: &Object) -> Result<Self, DicomError> {
        let data = &object.data;
        let text = |tag| data.text(tag).unwrap_or_default();
        Ok(Self {
            place,
            // Programs that take out names may leave the UIDs of the meta information alone.
            sop_class: data.text(tags::SOP_CLASS_UID).unwrap_or_else(|| object.meta.sop_class.clone()),
            sop_uid: data.text(tags::SOP_INSTANCE_UID).unwrap_or_else(|| object.meta.sop_uid.clone()),
            series_uid: text(tags::SERIES_INSTANCE_UID),
            patient: text(tags::PATIENT_ID),
            modality: text(tags::MODALITY),
            number: data.whole(tags::SERIES_NUMBER),
            description: text(tags::SERIES_DESCRIPTION),
            protocol: text(tags::PROTOCOL_NAME),
            contrast: text(tags::CONTRAST_BOLUS_AGENT),
            kernel: data.texts(tags::CONVOLUTION_KERNEL).first().cloned().unwrap_or_default(),
            image_type: image_type(data),
            acquisition: [tags::ACQUISITION_NUMBER, tags::TEMPORAL_POSITION_IDENTIFIER, tags::ACQUISITION_TIME]
                .map(|tag| data.text(tag)),
            image: Image::of(object)?,
        })
    }
}

/// The image type, and of an enhanced image that of its frames.
fn image_type(data: &InMemDicomObject) -> Vec<String> {
    let group = data.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let frames = group.and_then(|group| group.item(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE));
    let mut parts = data.texts(tags::IMAGE_TYPE);
    parts.extend(frames.map(|item| item.texts(tags::FRAME_TYPE)).unwrap_or_default());
    parts
}

impl Image {
    fn of(object: &Object) -> Result<Option<Self>, DicomError> {
        let data = &object.data;
        let Some(pixels) = object.pixels else { return Ok(None) };
        let (Some(rows), Some(columns)) = (data.short(tags::ROWS), data.short(tags::COLUMNS)) else { return Ok(None) };
        if data.short(tags::SAMPLES_PER_PIXEL) != Some(1) || rows == 0 || columns == 0 {
            return Ok(None);
        }
        let (rows, columns) = (usize::from(rows), usize::from(columns));
        let Some(samples) = Samples::of(data) else { return Ok(None) };
        let count = number_of_frames(data)?;
        check_length(&pixels, samples, rows * columns, count)?;
        check_size(&pixels, [rows, columns])?;
        let frames = frames(data, count as usize);
        Ok(Some(Self { syntax: object.syntax.clone(), pixels, samples, rows, columns, frames }))
    }
}

/// The number of frames, 1 where it is not said.
///
/// # Errors
/// When there are none, or more than any scanner makes.
pub(crate) fn number_of_frames(data: &InMemDicomObject) -> Result<u32, DicomError> {
    let count = data.whole(tags::NUMBER_OF_FRAMES).unwrap_or(1);
    match u32::try_from(count) {
        Ok(count) if (1..=MOST_FRAMES).contains(&count) => Ok(count),
        _ => {
            let problem = format!("is {count}; 1 to {MOST_FRAMES} are read");
            Err(DicomError::attribute(tags::NUMBER_OF_FRAMES, "NumberOfFrames", problem))
        }
    }
}

/// Checks that pixels which are not compressed are all there.
fn check_length(pixels: &PixelElement, samples: Samples, size: usize, frames: u32) -> Result<(), DicomError> {
    let bits = size as u64 * u64::from(samples.allocated) * u64::from(frames);
    if pixels.encapsulated || bits.div_ceil(8) <= pixels.length {
        return Ok(());
    }
    let problem = format!("holds {} bytes, its {frames} frames need {}", pixels.length, bits.div_ceil(8));
    Err(DicomError::attribute(tags::PIXEL_DATA, "PixelData", problem))
}

/// Checks that a compressed frame is none of gigabytes; the length of the file bounds others.
pub(crate) fn check_size(pixels: &PixelElement, [rows, columns]: [usize; 2]) -> Result<(), DicomError> {
    if !pixels.encapsulated || rows * columns <= MOST_PIXELS {
        return Ok(());
    }
    let text = format!("its compressed frames have {columns} × {rows} pixels; up to {MOST_PIXELS} are read");
    Err(DicomError::Limit(text))
}

impl Samples {
    /// `None` for what is no grey value of 1, 8 or 16 bits.
    fn of(data: &InMemDicomObject) -> Option<Self> {
        let allocated = data.short(tags::BITS_ALLOCATED)?;
        let stored = data.short(tags::BITS_STORED).unwrap_or(allocated);
        let high_bit = data.short(tags::HIGH_BIT).unwrap_or(stored.checked_sub(1)?);
        let signed = data.short(tags::PIXEL_REPRESENTATION) == Some(1);
        let fits = (1..=allocated).contains(&stored) && (stored - 1..allocated).contains(&high_bit);
        let known = matches!(allocated, 1 | 8 | 16);
        let samples = Self { allocated, stored, high_bit, signed, padding: None };
        (fits && known).then(|| Self { padding: samples.padding(data), ..samples })
    }

    /// The padding value and its limit, which some programs store with the wrong sign.
    fn padding(self, data: &InMemDicomObject) -> Option<(i32, i32)> {
        let number = |tag: Tag| data.whole(tag).map(|number| self.number(number as u16));
        let value = number(tags::PIXEL_PADDING_VALUE)?;
        let limit = number(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
        Some((value.min(limit), value.max(limit)))
    }

    /// The number that stored bits mean.
    pub(crate) fn number(self, bits: u16) -> i32 {
        let low_bit = self.high_bit + 1 - self.stored;
        let mask = (1u32 << self.stored) - 1;
        let number = (u32::from(bits) >> low_bit) & mask;
        let negative = self.signed && number >> (self.stored - 1) & 1 == 1;
        number as i32 - if negative { 1i32 << self.stored } else { 0 }
    }
}

/// Where each frame lies and how its numbers become intensities.
fn frames(data: &InMemDicomObject, count: usize) -> Vec<Option<Frame>> {
    let shared = data.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let per_frame = data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if shared.is_none() && per_frame.is_empty() {
        return if count == 1 { vec![frame_of_slice(data)] } else { vec![None; count] };
    }
    (0..count).map(|n| frame_of_groups(shared, per_frame.get(n))).collect()
}

fn frame_of_slice(data: &InMemDicomObject) -> Option<Frame> {
    let plane = Plane::of(Some(data), Some(data), Some(data))?;
    Some(Frame { plane, rescale: rescale(data), thickness: data.number(tags::SLICE_THICKNESS) })
}

fn frame_of_groups(shared: Option<&InMemDicomObject>, own: Option<&InMemDicomObject>) -> Option<Frame> {
    let group = |tag: Tag| own.and_then(|own| own.item(tag)).or_else(|| shared.and_then(|shared| shared.item(tag)));
    let measures = group(tags::PIXEL_MEASURES_SEQUENCE);
    let plane = Plane::of(group(tags::PLANE_POSITION_SEQUENCE), group(tags::PLANE_ORIENTATION_SEQUENCE), measures)?;
    let transformation = group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
    let thickness = measures.and_then(|measures| measures.number(tags::SLICE_THICKNESS));
    Some(Frame { plane, rescale: transformation.map_or((1.0, 0.0), rescale), thickness })
}

/// Slope and intercept; a slope of 0, which would leave nothing, is taken for none.
fn rescale(data: &InMemDicomObject) -> (f64, f64) {
    let slope = data.number(tags::RESCALE_SLOPE).filter(|slope| *slope != 0.0).unwrap_or(1.0);
    (slope, data.number(tags::RESCALE_INTERCEPT).unwrap_or(0.0))
}

impl Instance {
    /// Whether it is a CT image: by its class, or, where that was taken out, by its modality.
    pub(crate) fn is_ct(&self) -> bool {
        match self.sop_class.as_str() {
            "" => self.modality == "CT",
            uids::CT_IMAGE_STORAGE
            | uids::ENHANCED_CT_IMAGE_STORAGE
            | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_bits_are_numbers_with_and_without_a_sign() {
        let of = |allocated, stored, high_bit, signed| Samples { allocated, stored, high_bit, signed, padding: None };
        assert_eq!(of(16, 16, 15, true).number(0xf830), -2000);
        assert_eq!(of(16, 16, 15, false).number(0xf830), 63536);
        assert_eq!(of(16, 12, 11, true).number(0x0fff), -1, "twelve bits with a sign");
        assert_eq!(of(16, 12, 11, false).number(0xffff), 4095, "what lies above is an overlay");
        assert_eq!(of(16, 12, 15, false).number(0xabcd), 0xabc, "the high bit may be the highest");
        assert_eq!(of(8, 8, 7, false).number(200), 200);
    }
}
