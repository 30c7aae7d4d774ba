//! Segmentations of any program as labels: PS3.3 A.51 and A.82.

use std::collections::BTreeSet;

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use hepar_volume::{Geometry, Volume};

use crate::dicom::codec::FrameShape;
use crate::dicom::codes;
use crate::dicom::error::DicomError;
use crate::dicom::instance::{check_size, number_of_frames};
use crate::dicom::object::{Attributes, Object};
use crate::dicom::pixels::{PixelReader, Room};
use crate::dicom::place::{Place, read_at};
use crate::dicom::plane::Plane;
use crate::dicom::segmentation::LABEL_MAP_STORAGE;
use crate::dicom::slices::Slices;
use crate::dicom::steps::Steps;
use crate::dicom::structure::open_data_set;
use crate::dicom::vectors::{dot, flipped, times};
use crate::segments::Meaning;
use crate::warning::Warning;

/// Frames nearer than this share of their distance lie on one slice.
const OFF_GRID: f64 = 0.05;

/// Frames nearer than this, in millimetres, lie on one slice, whatever the distance of slices is.
const SAME_SLICE: f64 = 1e-3;

/// Most slices in a row that count as a hole when nothing was drawn on them: as many as are interpolated where they are
/// missing in a CT. What is wider lies between lesions.
const WIDEST_HOLE: i64 = 3;

/// The most voxels that labels of DICOM have.
pub const MOST_VOXELS: usize = 1 << 33;

/// Which label a segment gives its voxels.
struct Naming {
    /// By the segment's number; 0 for those that are left out.
    labels: Vec<(u16, u8)>,
    warnings: Vec<Warning>,
}

/// How pixels say what they belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Bits,
    /// A share of this greatest value; at least half of it counts.
    Fractions(u16),
    Numbers,
}

/// A frame of a segmentation.
struct SegmentFrame {
    plane: Plane,
    /// The segment; none in a label map.
    segment: Option<u16>,
}

/// Where the pixels of a frame go.
enum Landing<'a> {
    /// To voxels.
    Voxels(Steps),
    /// To pixels of a slice that the volume was made of, and from there to voxels.
    Slice(&'a Slices, usize, Steps),
}

/// Whether an object is a segmentation.
pub(crate) fn is_segmentation(sop_class: &str) -> bool {
    sop_class == uids::SEGMENTATION_STORAGE || sop_class == LABEL_MAP_STORAGE
}

/// The labels of a segmentation, on the grid `like` or, without, on the smallest one that holds all of its frames;
/// `slices` are those that the volume of the grid was made of, where they are known.
pub(crate) fn read(
    place: &Place,
    object: &Object,
    like: Option<&Geometry>,
    slices: Option<&Slices>,
) -> Result<(Volume<u8>, Vec<Warning>), DicomError> {
    let data = &object.data;
    let frames = frames(data)?;
    let Naming { labels, mut warnings } = naming(data)?;
    let (rows, columns) = (data.short(tags::ROWS).unwrap_or(0), data.short(tags::COLUMNS).unwrap_or(0));
    let (rows, columns) = (usize::from(rows), usize::from(columns));
    if rows == 0 || columns == 0 {
        return Err(DicomError::attribute(tags::ROWS, "Rows", "or Columns is missing"));
    }
    let geometry = match like {
        Some(like) => like.clone(),
        None => smallest_grid(data, &frames, [rows, columns])?,
    };
    let landings = landings(&frames, [rows, columns], &geometry, slices)?;
    let mut pixels = FramePixels::new(place, object, [rows, columns], frames.len())?;
    let mut volume = Volume::filled(geometry, 0u8);
    for (n, (frame, landing)) in frames.iter().zip(&landings).enumerate() {
        let numbers = pixels.frame(n, frame.segment)?;
        put(&mut volume, landing, &numbers, columns, &labels)?;
    }
    warnings.extend(matches!(pixels.stored, Stored::Fractions(_)).then_some(Warning::FractionsCut));
    warnings.extend(holes(landings.iter().filter_map(|landing| match landing {
        Landing::Voxels(steps) => Some(steps.layer().1),
        Landing::Slice(..) => None,
    })));
    Ok((volume, warnings))
}

/// Where each frame goes: to the slices that the volume was made of when all lie on these, else to voxels of its grid.
fn landings<'a>(
    frames: &[SegmentFrame],
    size: [usize; 2],
    geometry: &Geometry,
    slices: Option<&'a Slices>,
) -> Result<Vec<Landing<'a>>, DicomError> {
    let on_slices = |slices: &'a Slices| -> Option<Vec<Landing<'a>>> {
        let of_frame = |frame: &SegmentFrame| {
            let (n, steps) = slices.of_frame(&frame.plane, size)?;
            Some(Landing::Slice(slices, n, steps))
        };
        frames.iter().map(of_frame).collect()
    };
    if let Some(landings) = slices.and_then(on_slices) {
        return Ok(landings);
    }
    frames.iter().map(|frame| Steps::of(geometry, &frame.plane, size).map(Landing::Voxels)).collect()
}

/// A warning of slices of a grid that nothing was drawn on, between near ones that something was `drawn` on. Where these
/// are known to be missing in the CT, they are filled, and there is none.
pub(crate) fn holes(drawn: impl Iterator<Item = i64>) -> Option<Warning> {
    let drawn: BTreeSet<i64> = drawn.collect();
    let missing = drawn.iter().zip(drawn.iter().skip(1)).map(|(below, above)| above.saturating_sub(*below) - 1);
    let count: i64 = missing.filter(|missing| *missing <= WIDEST_HOLE).sum();
    (count > 0).then_some(Warning::SlicesEmpty { count: count as usize })
}

/// Position and segment of every frame.
fn frames(data: &InMemDicomObject) -> Result<Vec<SegmentFrame>, DicomError> {
    let count = number_of_frames(data)? as usize;
    let shared = data.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let per_frame = data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let frame = |n: usize| {
        let own = per_frame.get(n);
        let group = |tag| own.and_then(|own| own.item(tag)).or_else(|| shared.and_then(|shared| shared.item(tag)));
        let plane = Plane::of(
            group(tags::PLANE_POSITION_SEQUENCE),
            group(tags::PLANE_ORIENTATION_SEQUENCE),
            group(tags::PIXEL_MEASURES_SEQUENCE),
        );
        let segment =
            group(tags::SEGMENT_IDENTIFICATION_SEQUENCE).and_then(|item| item.short(tags::REFERENCED_SEGMENT_NUMBER));
        let problem = format!("of frame {} does not say where it lies", n + 1);
        let name = "PlanePositionSequence";
        let plane = plane.ok_or_else(|| DicomError::attribute(tags::PLANE_POSITION_SEQUENCE, name, problem))?;
        Ok(SegmentFrame { plane, segment })
    };
    (0..count).map(frame).collect()
}

/// What the segments mean: by their codes, else by their names, else by their numbers.
fn naming(data: &InMemDicomObject) -> Result<Naming, DicomError> {
    let described = data.items(tags::SEGMENT_SEQUENCE).iter().filter_map(|item| {
        let number = item.short(tags::SEGMENT_NUMBER)?;
        let name = item.text(tags::SEGMENT_LABEL).unwrap_or_default();
        let types = item.item(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
        let code = types.and_then(|item| item.text(tags::CODE_VALUE));
        let meaning = code.and_then(|code| codes::meaning_of(&code)).or_else(|| Meaning::of_name(&name));
        Some((number, name, meaning))
    });
    let described: Vec<(u16, String, Option<Meaning>)> = described.collect();
    if described.is_empty() {
        return Err(DicomError::attribute(tags::SEGMENT_SEQUENCE, "SegmentSequence", "describes no segment"));
    }
    if described.iter().all(|(_, _, meaning)| meaning.is_none()) {
        let labels: Result<Vec<(u16, u8)>, DicomError> = described
            .iter()
            .map(|(number, ..)| match u8::try_from(*number) {
                Ok(label) => Ok((*number, label)),
                Err(_) => Err(DicomError::Limit(format!("segment {number} fits into no label; those go to 255"))),
            })
            .collect();
        return Ok(Naming { labels: labels?, warnings: vec![Warning::SegmentsByNumber] });
    }
    let left_out: Vec<String> =
        described.iter().filter(|(_, _, meaning)| meaning.is_none()).map(|(_, name, _)| name.clone()).collect();
    let label = |(number, _, meaning): &(u16, String, Option<Meaning>)| (*number, meaning.map_or(0, Meaning::label));
    let labels = described.iter().map(label).collect();
    let warnings = if left_out.is_empty() { Vec::new() } else { vec![Warning::SegmentsLeftOut { names: left_out }] };
    Ok(Naming { labels, warnings })
}

/// The grid from the lowest frame to the highest; slices without frames hold nothing.
fn smallest_grid(
    data: &InMemDicomObject,
    frames: &[SegmentFrame],
    [rows, columns]: [usize; 2],
) -> Result<Geometry, DicomError> {
    let first = &frames[0].plane;
    if frames.iter().any(|frame| !frame.plane.is_parallel(first)) {
        return Err(DicomError::OtherGrid("its frames have different orientations".to_owned()));
    }
    let normal = first.normal();
    let mut at: Vec<f64> = frames.iter().map(|frame| dot(frame.plane.position, normal)).collect();
    at.sort_by(f64::total_cmp);
    let spacing = distance_of_slices(data, &at)?;
    let reach = at[at.len() - 1] - at[0];
    let slices = (reach / spacing).round() as usize + 1;
    if slices.checked_mul(rows * columns).is_none_or(|voxels| voxels > MOST_VOXELS) {
        return Err(DicomError::Limit(format!("its frames reach over {slices} slices, more than is read")));
    }
    // Exact in the mean, as the stated distance may be rounded.
    let spacing = if slices > 1 { reach / (slices - 1) as f64 } else { spacing };
    let lowest = frames
        .iter()
        .map(|frame| &frame.plane)
        .min_by(|a, b| dot(a.position, normal).total_cmp(&dot(b.position, normal)))
        .unwrap_or(first);
    grid(lowest, normal, spacing, [slices, rows, columns])
}

/// The distance of slices, of which some have frames, `at` these positions along the normal, the least first.
///
/// Slices between frames may be left out, so that a distance that is stated comes before any that is measured. How thick
/// slices are says the same of most scans, and is believed where frames are few and far between: thin slices may lie apart.
fn distance_of_slices(data: &InMemDicomObject, at: &[f64]) -> Result<f64, DicomError> {
    let measures = data
        .item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
        .and_then(|shared| shared.item(tags::PIXEL_MEASURES_SEQUENCE));
    let said = |tag| measures.and_then(|item| item.number(tag)).filter(|mm| *mm > SAME_SLICE);
    let gaps: Vec<f64> = at.windows(2).map(|pair| pair[1] - pair[0]).filter(|mm| *mm > SAME_SLICE).collect();
    let least = gaps.iter().copied().reduce(f64::min);
    let usual = least.filter(|least| {
        let as_near = gaps.iter().filter(|mm| **mm <= (1.0 + OFF_GRID) * least).count();
        gaps.len() > 1 && 2 * as_near > gaps.len()
    });
    let distances = [said(tags::SPACING_BETWEEN_SLICES), usual, said(tags::SLICE_THICKNESS), least];
    let fits = |mm: &f64| at.iter().all(|v| ((v - at[0]) / mm - ((v - at[0]) / mm).round()).abs() <= OFF_GRID);
    match distances.into_iter().flatten().find(fits) {
        Some(mm) => Ok(mm),
        None if gaps.is_empty() => Ok(1.0),
        None => Err(DicomError::OtherGrid("its frames are at different distances".to_owned())),
    }
}

fn grid(first: &Plane, normal: [f64; 3], spacing: f64, shape: [usize; 3]) -> Result<Geometry, DicomError> {
    let i = flipped(times(first.along_row, first.spacing[1]));
    let j = flipped(times(first.along_column, first.spacing[0]));
    let (k, origin) = (flipped(times(normal, spacing)), flipped(first.position));
    let row = |axis: usize| [i[axis], j[axis], k[axis], origin[axis]];
    Geometry::new([row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]], shape)
        .map_err(|error| DicomError::OtherGrid(error.to_string()))
}

/// Puts the segments of a frame, `numbers` of its pixels, into the volume; where two meet, the higher label stays.
fn put(
    volume: &mut Volume<u8>,
    landing: &Landing<'_>,
    numbers: &[u16],
    columns: usize,
    labels: &[(u16, u8)],
) -> Result<(), DicomError> {
    let shape = volume.shape();
    let mut data = volume.data_mut();
    for (at, number) in numbers.iter().enumerate().filter(|(_, number)| **number > 0) {
        let label = labels.iter().find(|(known, _)| known == number).map_or(0, |(_, label)| *label);
        if label == 0 {
            continue;
        }
        let mut mark = |index: [usize; 3]| data[index] = data[index].max(label);
        match landing {
            Landing::Voxels(steps) => mark(steps.index(at / columns, at % columns, shape).ok_or_else(beyond)?),
            Landing::Slice(slices, n, steps) => {
                let [_, row, column] = steps.index(at / columns, at % columns, slices.shape()).ok_or_else(beyond)?;
                slices.voxels(*n, [row, column]).for_each(mark);
            }
        }
    }
    Ok(())
}

/// What is marked lies outside of the grid: to leave it out would make it smaller than it is.
pub(crate) fn beyond() -> DicomError {
    let text = "it marks voxels outside of the grid that it is to be put on; take a grid that covers all of it";
    DicomError::OtherGrid(text.to_owned())
}

/// The pixels of all frames.
struct FramePixels {
    stored: Stored,
    size: usize,
    /// All bytes of frames of single bits.
    bits: Vec<u8>,
    reader: Option<(PixelReader, usize)>,
    room: Room,
}

impl FramePixels {
    fn new(place: &Place, object: &Object, [rows, columns]: [usize; 2], frames: usize) -> Result<Self, DicomError> {
        let data = &object.data;
        let pixels = object.pixels.ok_or_else(|| DicomError::attribute(tags::PIXEL_DATA, "PixelData", "is missing"))?;
        check_size(&pixels, [rows, columns])?;
        let allocated = data.short(tags::BITS_ALLOCATED).unwrap_or(0);
        let kind = data.text(tags::SEGMENTATION_TYPE).unwrap_or_default();
        let stored = match kind.as_str() {
            "BINARY" => Stored::Bits,
            "FRACTIONAL" => Stored::Fractions(data.short(tags::MAXIMUM_FRACTIONAL_VALUE).unwrap_or(255)),
            "LABELMAP" => Stored::Numbers,
            other => {
                let problem = format!("is {other:?}; BINARY, FRACTIONAL and LABELMAP are read");
                return Err(DicomError::attribute(tags::SEGMENTATION_TYPE, "SegmentationType", problem));
            }
        };
        let size = rows * columns;
        if allocated == 1 && !pixels.encapsulated {
            let bytes = (size as u64 * frames as u64).div_ceil(8);
            if bytes > pixels.length {
                let problem = format!("holds {} bytes, its {frames} frames need {bytes}", pixels.length);
                return Err(DicomError::attribute(tags::PIXEL_DATA, "PixelData", problem));
            }
            let mut source = open_data_set(place)?.source;
            let bits = read_at(source.as_mut(), pixels.start, bytes as usize)
                .map_err(|error| DicomError::Header(error.to_string()))?;
            return Ok(Self { stored, size, bits, reader: None, room: Room::default() });
        }
        if !matches!(allocated, 8 | 16) {
            let problem = format!("is {allocated}; 8 and 16 are read, and 1 where nothing is compressed");
            return Err(DicomError::attribute(tags::BITS_ALLOCATED, "BitsAllocated", problem));
        }
        let bytes = usize::from(allocated / 8);
        let shape = FrameShape { rows, columns, bytes };
        if !pixels.encapsulated && (shape.length() as u64).saturating_mul(frames as u64) > pixels.length {
            let problem = format!("holds {} bytes, too few for its {frames} frames", pixels.length);
            return Err(DicomError::attribute(tags::PIXEL_DATA, "PixelData", problem));
        }
        let reader = PixelReader::new(place, &object.syntax, pixels, shape, frames)?;
        Ok(Self { stored, size, bits: Vec::new(), reader: Some((reader, bytes)), room: Room::default() })
    }

    /// The number of the segment of each pixel of a frame, 0 for none.
    fn frame(&mut self, n: usize, segment: Option<u16>) -> Result<Vec<u16>, DicomError> {
        let number = segment.unwrap_or(0);
        let Some((reader, bytes)) = &self.reader else {
            let bit = |at: usize| self.bits[at / 8] >> (at % 8) & 1 == 1;
            return Ok((n * self.size..(n + 1) * self.size).map(|at| if bit(at) { number } else { 0 }).collect());
        };
        reader.frame_into(n as u32, &mut self.room)?;
        let samples = &self.room.samples;
        let values: Vec<u16> = match bytes {
            1 => samples.iter().copied().map(u16::from).collect(),
            _ => samples.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect(),
        };
        Ok(match self.stored {
            Stored::Numbers => values,
            Stored::Bits => values.into_iter().map(|value| if value > 0 { number } else { 0 }).collect(),
            Stored::Fractions(greatest) => {
                let counts = |value: u16| u32::from(value) * 2 >= u32::from(greatest.max(1));
                values.into_iter().map(|value| if counts(value) { number } else { 0 }).collect()
            }
        })
    }
}
