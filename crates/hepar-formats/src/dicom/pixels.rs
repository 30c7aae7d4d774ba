//! The samples of frames, native or compressed: PS3.5 section 8 and Annex A.4.

use std::io::{Cursor, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::datatype::ByteOrder;
use crate::dicom::codec::{FrameShape, decode};
use crate::dicom::error::{DicomError, ElementTag};
use crate::dicom::place::{Place, ReadSeek, read_at};
use crate::dicom::structure::{PixelElement, open_data_set};
use crate::dicom::syntax::{PixelCoding, Syntax};

const ITEM: u16 = 0xe000;
const DELIMITER: u16 = 0xe0dd;

/// Pixels of an object that can be read frame by frame, from several threads.
#[derive(Debug)]
pub(crate) struct PixelReader {
    place: Place,
    coding: PixelCoding,
    /// Whether positions count in the inflated data set rather than in the file.
    deflated: bool,
    pixels: PixelElement,
    shape: FrameShape,
    /// The pieces of each frame, for compressed frames.
    pieces: Vec<Vec<Range<u64>>>,
    /// Whether every opening inflates all of several frames, as in an archive.
    inflates: bool,
    /// The inflated bytes, as long as a thread keeps them.
    inflated: Mutex<Weak<Vec<u8>>>,
}

/// What a thread keeps from frame to frame: fresh memory costs as much as reading.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// The samples of the last frame, by rows, little-endian.
    pub(crate) samples: Vec<u8>,
    /// The inflated object that it is in, for its other frames.
    object: Option<Arc<Vec<u8>>>,
}

impl PixelReader {
    /// Finds the frames of an object whose frames have the shape `shape`.
    ///
    /// # Errors
    /// When there is no decoder for them, or they are not all there.
    pub(crate) fn new(
        place: &Place,
        syntax: &Syntax,
        pixels: PixelElement,
        shape: FrameShape,
        frames: usize,
    ) -> Result<Self, DicomError> {
        let coding = syntax.pixels();
        let undecodable = |hint| Err(DicomError::TransferSyntax { name: syntax.to_string(), hint });
        match coding {
            PixelCoding::Other => return undecodable(". Convert it, with dcmdjpeg or gdcmconv --raw say"),
            PixelCoding::JpegLs if cfg!(not(feature = "charls")) => {
                return undecodable(" by this build (its feature charls is off). Convert it, with dcmdjpls say");
            }
            PixelCoding::Native(ByteOrder::Big) if shape.bytes == 1 => {
                return undecodable(" for pixels of 8 bits. Convert it, with dcmconv +te say");
            }
            _ => {}
        }
        let native = matches!(coding, PixelCoding::Native(_));
        if native == pixels.encapsulated {
            let problem = "pixels are not stored as the transfer syntax says";
            return Err(DicomError::Malformed { at: pixels.start, problem });
        }
        let deflated = syntax.is_deflated();
        let inflates = frames > 1 && (deflated || matches!(place, Place::Entry { .. }));
        let (place, inflated) = (place.clone(), Mutex::default());
        let mut reader = Self { place, coding, deflated, pixels, shape, pieces: Vec::new(), inflates, inflated };
        if pixels.encapsulated {
            reader.pieces = reader.find_pieces(frames)?;
        }
        Ok(reader)
    }

    /// The samples of a frame, by rows, little-endian; `frame` counts from 0.
    ///
    /// # Errors
    /// When the frame cannot be read or decoded.
    pub(crate) fn frame(&self, frame: u32) -> Result<Vec<u8>, DicomError> {
        let mut room = Room::default();
        self.frame_into(frame, &mut room)?;
        Ok(room.samples)
    }

    /// As [`PixelReader::frame`], into room that is used again for many frames.
    pub(crate) fn frame_into(&self, frame: u32, room: &mut Room) -> Result<(), DicomError> {
        if !self.inflates {
            return self.read(self.open()?.as_mut(), frame, &mut room.samples);
        }
        let object = self.object(room)?;
        self.read(&mut Cursor::new(object.as_slice()), frame, &mut room.samples)
    }

    /// All bytes, inflated once for the threads that read from them at one time; `room` keeps them until it is used for
    /// another object, so that a thread holds one.
    fn object(&self, room: &mut Room) -> Result<Arc<Vec<u8>>, DicomError> {
        // Others wait here, rather than inflate it too.
        let mut shared = self.inflated.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shared.upgrade();
        room.object = None;
        let object = match known {
            Some(object) => object,
            None => {
                let mut bytes = Vec::new();
                let read = self.open()?.read_to_end(&mut bytes);
                read.map_err(|error| DicomError::Header(error.to_string()))?;
                Arc::new(bytes)
            }
        };
        *shared = Arc::downgrade(&object);
        room.object = Some(Arc::clone(&object));
        Ok(object)
    }

    /// The samples of a frame of `source`, the bytes that positions count in.
    fn read(&self, source: &mut dyn ReadSeek, frame: u32, samples: &mut Vec<u8>) -> Result<(), DicomError> {
        let failed = |reason: String| DicomError::Pixels { frame: frame + 1, reason };
        if let PixelCoding::Native(order) = self.coding {
            let length = self.shape.length();
            samples.resize(length, 0);
            let start = self.pixels.start + u64::from(frame) * length as u64;
            source.seek(SeekFrom::Start(start)).map_err(|error| failed(error.to_string()))?;
            source.read_exact(samples).map_err(|error| failed(error.to_string()))?;
            if order == ByteOrder::Big {
                samples.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair.reverse());
            }
            return Ok(());
        }
        let pieces = self.pieces.get(frame as usize).ok_or_else(|| failed("there is none".to_owned()))?;
        let mut stream = Vec::new();
        for piece in pieces {
            let length = (piece.end - piece.start) as usize;
            stream.extend(read_at(source, piece.start, length).map_err(|error| failed(error.to_string()))?);
        }
        *samples = decode(self.coding, &stream, self.shape).map_err(failed)?;
        Ok(())
    }

    /// The bytes that positions count in.
    fn open(&self) -> Result<Box<dyn ReadSeek>, DicomError> {
        if self.deflated { Ok(open_data_set(&self.place)?.source) } else { Ok(self.place.open()?.0) }
    }

    /// Walks the fragments, and tells which belong to which frame.
    fn find_pieces(&self, frames: usize) -> Result<Vec<Vec<Range<u64>>>, DicomError> {
        let mut source = self.open()?;
        let source = source.as_mut();
        let (start, end) = (self.pixels.start, self.pixels.start + self.pixels.length);
        let mut fragments = walk_fragments(source, start, end)?.into_iter();
        let table = fragments.next().unwrap_or(start..start);
        let fragments: Vec<Range<u64>> = fragments.collect();
        if fragments.len() == frames {
            return Ok(fragments.into_iter().map(|fragment| vec![fragment]).collect());
        }
        if frames == 1 && !fragments.is_empty() {
            return Ok(vec![fragments]);
        }
        let too_few = |problem| DicomError::Malformed { at: start, problem };
        if (table.end - table.start) != 4 * frames as u64 {
            return Err(too_few("it does not say which of its compressed fragments belong to which frame"));
        }
        let bytes = read_at(source, table.start, 4 * frames).map_err(|error| DicomError::Header(error.to_string()))?;
        // Offsets count from the first fragment's item.
        let first = fragments.first().map_or(start, |fragment| fragment.start - 8);
        let starts: Vec<u64> =
            bytes.as_chunks::<4>().0.iter().map(|b| first + u64::from(u32::from_le_bytes(*b))).collect();
        let pieces: Vec<Vec<Range<u64>>> = (0..frames)
            .map(|frame| {
                let until = starts.get(frame + 1).copied().unwrap_or(u64::MAX);
                let mine = |fragment: &&Range<u64>| (starts[frame]..until).contains(&(fragment.start - 8));
                fragments.iter().filter(mine).cloned().collect()
            })
            .collect();
        match pieces.iter().any(Vec::is_empty) {
            true => Err(too_few("some of its frames have no compressed fragment")),
            false => Ok(pieces),
        }
    }
}

/// The values of the items from `start` on: the offset table, then the fragments.
fn walk_fragments(source: &mut dyn ReadSeek, start: u64, end: u64) -> Result<Vec<Range<u64>>, DicomError> {
    let mut fragments = Vec::new();
    let mut at = start;
    while at < end {
        let head = read_at(source, at, 8).map_err(|_| DicomError::Ends(at))?;
        let [a, b, c, d, l, m, n, o] = head[..] else { return Err(DicomError::Ends(at)) };
        let tag = ElementTag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let length = u64::from(u32::from_le_bytes([l, m, n, o]));
        at += 8;
        match tag {
            ElementTag(0xfffe, ITEM) if length <= end - at => fragments.push(at..at + length),
            ElementTag(0xfffe, ITEM) => return Err(DicomError::Truncated { tag, claimed: length, held: end - at }),
            ElementTag(0xfffe, DELIMITER) => return Ok(fragments),
            _ => {
                return Err(DicomError::Malformed {
                    at: at - 8,
                    problem: "no fragment of pixels is where one belongs",
                });
            }
        }
        at += length;
    }
    // Some programs forget the delimiter.
    Ok(fragments)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::dicom::place::files_in_archive;

    /// Objects of two frames of three bytes, nothing but these, in an archive.
    fn readers(path: &std::path::Path, objects: &[[u8; 6]]) -> Vec<PixelReader> {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        for (n, bytes) in objects.iter().enumerate() {
            zip.start_file(n.to_string(), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        let pixels = PixelElement { start: 0, length: 6, encapsulated: false };
        let shape = FrameShape { rows: 1, columns: 3, bytes: 1 };
        let reader = |place| PixelReader::new(&place, &Syntax::explicit(), pixels, shape, 2).unwrap();
        files_in_archive(path).unwrap().into_iter().map(reader).collect()
    }

    #[test]
    fn an_object_in_an_archive_is_not_inflated_again_for_every_frame() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder.path().join("a.zip"), &[[1, 2, 3, 4, 5, 6], [7; 6]]);
        let (mut one, mut other) = (Room::default(), Room::default());
        readers[0].frame_into(0, &mut one).unwrap();
        let object = Arc::clone(one.object.as_ref().unwrap());
        readers[0].frame_into(1, &mut one).unwrap();
        readers[0].frame_into(0, &mut other).unwrap();
        assert_eq!((&one.samples[..], &other.samples[..]), (&[4, 5, 6][..], &[1, 2, 3][..]));
        for room in [&one, &other] {
            assert!(Arc::ptr_eq(&object, room.object.as_ref().unwrap()), "threads share it");
        }
        // Nothing is kept of an object that is behind all of them.
        drop((object, other));
        readers[1].frame_into(1, &mut one).unwrap();
        assert_eq!(one.samples, [7; 3]);
        assert!(readers[0].inflated.lock().unwrap().upgrade().is_none());
    }
}
