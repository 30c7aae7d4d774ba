//! The structure of a data set, walked before its parser sees it.
//!
//! PS3.5 section 7 and PS3.10 section 7. The parser reserves what lengths claim and calls itself for every nested
//! sequence, so lengths that reach beyond their surroundings and sequences that are nested without end are refused
//! here, where nothing is reserved and nothing recurses.

use std::io::Read;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use flate2::read::DeflateDecoder;

use crate::datatype::ByteOrder;
use crate::dicom::error::{DicomError, ElementTag};
use crate::dicom::place::{Place, ReadSeek};
use crate::dicom::syntax::Syntax;

/// Deepest nesting of sequences; structured reports, which nest the most, stay below 20.
const DEEPEST: usize = 64;

/// Most elements of a header: a segmentation of 4,000 frames has some 200,000.
const MOST_ELEMENTS: usize = 4_000_000;

/// Largest header: contours of whole bodies stay below a third of it.
const LARGEST_HEADER: u64 = 1 << 29;

/// Largest deflated data set when inflated.
const LARGEST_INFLATED: u64 = 1 << 31;

/// Bytes read at once; headers of slices fit in the first piece.
const PIECE: usize = 1 << 14;

/// A data set whose structure is sound.
pub(crate) struct Structure {
    pub(crate) syntax: Syntax,
    pub(crate) meta: Meta,
    /// The bytes of the data set up to its pixels.
    pub(crate) header: Vec<u8>,
    pub(crate) pixels: Option<PixelElement>,
}

/// Where the pixels of an object are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PixelElement {
    /// First byte of the value, counted from the beginning of [`open_data_set`]'s bytes.
    pub(crate) start: u64,
    /// Number of bytes; of encapsulated pixels all up to the end of the file.
    pub(crate) length: u64,
    /// Whether the value is a sequence of fragments.
    pub(crate) encapsulated: bool,
}

/// What the file meta information says of the object, PS3.10 section 7.1; empty where it does not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meta {
    pub(crate) sop_class: String,
    pub(crate) sop_uid: String,
}

/// Where a data set begins.
struct Beginning {
    syntax: Syntax,
    meta: Meta,
    at: u64,
}

/// The bytes of an object, inflated if they are deflated.
pub(crate) struct DataSetBytes {
    pub(crate) source: Box<dyn ReadSeek>,
    pub(crate) length: u64,
    /// First byte of the data set.
    at: u64,
    /// What has been read of the data set, from its first byte on.
    read: Vec<u8>,
    syntax: Syntax,
    meta: Meta,
}

/// Opens the bytes of an object.
///
/// # Errors
/// When they are no DICOM object.
pub(crate) fn open_data_set(place: &Place) -> Result<DataSetBytes, DicomError> {
    let (source, length) = place.open()?;
    let mut prefix = Prefix { source, length, bytes: Vec::new(), at: 0 };
    let Beginning { syntax, meta, at } = beginning(&mut prefix)?;
    if !syntax.is_deflated() {
        let read = prefix.bytes.get(at as usize..).unwrap_or_default().to_vec();
        return Ok(DataSetBytes { source: prefix.source, length, at, read, syntax, meta });
    }
    // The last element of the meta information is passed without being read.
    prefix.fill_to(at)?;
    if at >= length {
        return Err(DicomError::Ends(at));
    }
    let mut rest = prefix.bytes.split_off(at as usize);
    prefix.source.read_to_end(&mut rest).map_err(|error| DicomError::Header(error.to_string()))?;
    let mut inflated = Vec::new();
    DeflateDecoder::new(rest.as_slice())
        .take(LARGEST_INFLATED + 1)
        .read_to_end(&mut inflated)
        .map_err(|error| DicomError::Header(format!("the deflated data set is damaged ({error})")))?;
    let length = inflated.len() as u64;
    if length > LARGEST_INFLATED {
        return Err(DicomError::Limit(format!("it inflates to more than {LARGEST_INFLATED} bytes")));
    }
    let source = Box::new(std::io::Cursor::new(inflated));
    Ok(DataSetBytes { source, length, at: 0, read: Vec::new(), syntax, meta })
}

impl Structure {
    /// Walks an object up to its pixels.
    ///
    /// # Errors
    /// When it is no DICOM object, or its structure is not sound.
    pub(crate) fn read(place: &Place) -> Result<Self, DicomError> {
        let DataSetBytes { mut source, length, at, read, syntax, meta } = open_data_set(place)?;
        let next = std::io::SeekFrom::Start(at + read.len() as u64);
        source.seek(next).map_err(|error| DicomError::Header(error.to_string()))?;
        let prefix = Prefix { source, length: length.saturating_sub(at), bytes: read, at: 0 };
        let mut walk = Walk { prefix, syntax, levels: Vec::new(), elements: 0 };
        let pixels = walk.up_to_pixels()?;
        let mut header = walk.prefix.bytes;
        header.truncate(walk.prefix.at as usize);
        let pixels = pixels.map(|pixels| PixelElement { start: pixels.start + at, ..pixels });
        Ok(Self { syntax: walk.syntax, meta, header, pixels })
    }
}

/// Finds the data set: behind preamble and file meta information, or, of old files without them, at the first byte.
fn beginning(prefix: &mut Prefix) -> Result<Beginning, DicomError> {
    prefix.fill_to(132)?;
    if prefix.bytes.get(128..132) == Some(b"DICM") {
        return behind_meta_information(prefix);
    }
    // Group 8 comes first, and its elements have a short tag and a short length.
    let Some(head) = prefix.bytes.first_chunk::<8>() else { return Err(DicomError::NotDicom) };
    if !matches!(head, [8, 0, _, 0, ..]) || prefix.length < 132 {
        return Err(DicomError::NotDicom);
    }
    let explicit = VR::from_binary([head[4], head[5]]).is_some();
    if !explicit && (head[6], head[7]) != (0, 0) {
        return Err(DicomError::NotDicom);
    }
    let syntax = if explicit { Syntax::explicit() } else { Syntax::implicit() };
    Ok(Beginning { syntax, meta: Meta::default(), at: 0 })
}

/// Reads group 2, which is always explicit and little-endian.
fn behind_meta_information(prefix: &mut Prefix) -> Result<Beginning, DicomError> {
    let (mut syntax, mut meta) = (None, Meta::default());
    prefix.at = 132;
    while let Some(head) = prefix.peek::<8>()? {
        if (head[0], head[1]) != (2, 0) {
            break;
        }
        let tag = ElementTag(2, u16::from_le_bytes([head[2], head[3]]));
        let vr = VR::from_binary([head[4], head[5]]);
        prefix.at += 8;
        let length = match vr {
            Some(vr) if !is_long(vr) => u64::from(u16::from_le_bytes([head[6], head[7]])),
            _ => u64::from(u32::from_le_bytes(prefix.take::<4>()?)),
        };
        prefix.check(tag, length, prefix.length)?;
        let start = prefix.at;
        prefix.at += length;
        // UIDs have up to 64 characters.
        if length <= 64 {
            prefix.fill_to(prefix.at)?;
            let value = prefix.bytes.get(start as usize..prefix.at as usize).unwrap_or_default();
            let value = String::from_utf8_lossy(value).trim_end_matches(['\0', ' ']).to_owned();
            match tag.1 {
                0x02 => meta.sop_class = value,
                0x03 => meta.sop_uid = value,
                0x10 => syntax = Some(Syntax::new(&value)),
                _ => {}
            }
        }
    }
    // The meta information of some old programs does not say.
    Ok(Beginning { syntax: syntax.unwrap_or_else(Syntax::implicit), meta, at: prefix.at })
}

/// Whether an explicit element has a length of 32 bits behind two bytes of nothing, PS3.5 section 7.1.2.
fn is_long(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}

/// The beginning of a file, as far as it was needed.
struct Prefix {
    source: Box<dyn ReadSeek>,
    /// Length of everything.
    length: u64,
    bytes: Vec<u8>,
    at: u64,
}

impl Prefix {
    /// Reads on until there are `end` bytes, or all there are.
    fn fill_to(&mut self, end: u64) -> Result<(), DicomError> {
        let end = end.min(self.length);
        if end > LARGEST_HEADER {
            return Err(DicomError::Limit(format!("its header is larger than {LARGEST_HEADER} bytes")));
        }
        while (self.bytes.len() as u64) < end {
            let wanted = (end - self.bytes.len() as u64).max(PIECE as u64);
            // Else the system would be asked for 32 bytes first, then for 64 …
            self.bytes.reserve(PIECE);
            let read = (&mut self.source).take(wanted).read_to_end(&mut self.bytes);
            if read.map_err(|error| DicomError::Header(error.to_string()))? == 0 {
                return Err(DicomError::Ends(self.bytes.len() as u64));
            }
        }
        Ok(())
    }

    /// The next bytes, which are not passed; `None` at the end, when there is nothing more.
    fn peek<const N: usize>(&mut self) -> Result<Option<[u8; N]>, DicomError> {
        if self.at >= self.length {
            return Ok(None);
        }
        self.fill_to(self.at + N as u64)?;
        match self.bytes.get(self.at as usize..).and_then(|bytes| bytes.first_chunk()) {
            Some(bytes) => Ok(Some(*bytes)),
            None => Err(DicomError::Ends(self.length)),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DicomError> {
        let bytes = self.peek()?.ok_or(DicomError::Ends(self.length))?;
        self.at += N as u64;
        Ok(bytes)
    }

    /// Checks that a value of `length` bytes ends at or before `end`.
    fn check(&self, tag: ElementTag, length: u64, end: u64) -> Result<(), DicomError> {
        let held = end.min(self.length).saturating_sub(self.at);
        if length > held { Err(DicomError::Truncated { tag, claimed: length, held }) } else { Ok(()) }
    }
}

/// What surrounds an element.
#[derive(Debug, Clone, Copy)]
struct Level {
    kind: Kind,
    /// First byte behind it; `None` when a delimiter ends it.
    end: Option<u64>,
    /// Whether its elements are implicit: those in a sequence of unknown representation are, whatever the syntax.
    implicit: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sequence,
    Item,
    /// Encapsulated pixels of an icon.
    Fragments,
}

struct Walk {
    prefix: Prefix,
    syntax: Syntax,
    levels: Vec<Level>,
    elements: usize,
}

/// What an element's header says.
struct Element {
    tag: Tag,
    /// `None` for items and delimiters.
    vr: Option<VR>,
    /// `None` when it is undefined.
    length: Option<u64>,
}

impl Walk {
    /// Walks to the pixels, whose header is left in front, or to the end.
    fn up_to_pixels(&mut self) -> Result<Option<PixelElement>, DicomError> {
        loop {
            while self.levels.last().is_some_and(|level| level.end.is_some_and(|end| end <= self.prefix.at)) {
                self.levels.pop();
            }
            let start = self.prefix.at;
            if self.prefix.peek::<1>()?.is_none() {
                return if self.levels.is_empty() { Ok(None) } else { Err(DicomError::Ends(start)) };
            }
            let element = self.element()?;
            self.elements += 1;
            if self.elements > MOST_ELEMENTS {
                return Err(DicomError::Elements(MOST_ELEMENTS));
            }
            let is_pixels = matches!(element.tag, Tag(0x7fe0, 0x0008..=0x0010));
            if is_pixels && self.levels.is_empty() {
                let pixels = self.pixels(&element)?;
                self.prefix.at = start;
                return Ok(Some(pixels));
            }
            self.enter_or_pass(&element)?;
        }
    }

    fn pixels(&self, element: &Element) -> Result<PixelElement, DicomError> {
        let (start, rest) = (self.prefix.at, self.prefix.length.saturating_sub(self.prefix.at));
        if let Some(length) = element.length {
            self.prefix.check(ElementTag(element.tag.0, element.tag.1), length, self.prefix.length)?;
        }
        Ok(PixelElement { start, length: element.length.unwrap_or(rest), encapsulated: element.length.is_none() })
    }

    /// Reads the header of the next element.
    fn element(&mut self) -> Result<Element, DicomError> {
        let big = self.syntax.order() == ByteOrder::Big;
        let short = |b: [u8; 2]| if big { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) };
        let long = |b: [u8; 4]| if big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) };
        let defined = |length: u32| (length != u32::MAX).then_some(u64::from(length));
        let [a, b, c, d] = self.prefix.take::<4>()?;
        let tag = Tag(short([a, b]), short([c, d]));
        let implicit = self.levels.last().map_or(self.syntax.is_implicit(), |level| level.implicit);
        if tag.0 == 0xfffe {
            return Ok(Element { tag, vr: None, length: defined(long(self.prefix.take()?)) });
        }
        if implicit {
            let known = StandardDataDictionary.by_tag(tag).map(|entry| entry.vr().relaxed());
            let length = defined(long(self.prefix.take()?));
            return Ok(Element { tag, vr: Some(known.unwrap_or(VR::UN)), length });
        }
        let vr = VR::from_binary(self.prefix.take()?).unwrap_or(VR::UN);
        let bytes = self.prefix.take::<2>()?;
        let length = if is_long(vr) { defined(long(self.prefix.take()?)) } else { Some(u64::from(short(bytes))) };
        Ok(Element { tag, vr: Some(vr), length })
    }

    /// Goes on to what follows the element's header: into a sequence or an item, or past a value.
    fn enter_or_pass(&mut self, element: &Element) -> Result<(), DicomError> {
        let at = self.prefix.at;
        let malformed = |problem| Err(DicomError::Malformed { at, problem });
        let tag = ElementTag(element.tag.0, element.tag.1);
        let around = self.levels.last().copied();
        let end = around.and_then(|level| level.end).unwrap_or(self.prefix.length);
        if let Some(length) = element.length {
            self.prefix.check(tag, length, end)?;
        }
        let kind = around.map(|level| level.kind);
        let implicit = around.map_or(self.syntax.is_implicit(), |level| level.implicit);
        let end = element.length.map(|length| at + length);
        match (element.tag, kind) {
            (Tag(0xfffe, 0xe000), Some(Kind::Sequence)) => self.enter(Level { kind: Kind::Item, end, implicit }),
            (Tag(0xfffe, 0xe000), Some(Kind::Fragments)) => match end {
                Some(end) => self.pass(end),
                None => malformed("a fragment of pixels has no length"),
            },
            (Tag(0xfffe, 0xe00d), Some(Kind::Item)) | (Tag(0xfffe, 0xe0dd), Some(Kind::Sequence | Kind::Fragments)) => {
                self.levels.pop();
                Ok(())
            }
            (Tag(0xfffe, _), _) => malformed("an item or a delimiter is where none belongs"),
            (_, Some(Kind::Sequence | Kind::Fragments)) => malformed("an element is where an item belongs"),
            (_, None | Some(Kind::Item)) => match (element.vr, end) {
                (Some(VR::SQ), _) => self.enter(Level { kind: Kind::Sequence, end, implicit }),
                (Some(VR::UN), None) => self.enter(Level { kind: Kind::Sequence, end, implicit: true }),
                (Some(VR::OB | VR::OW), None) if element.tag.0 == 0x7fe0 => {
                    self.enter(Level { kind: Kind::Fragments, end, implicit })
                }
                (_, Some(end)) => self.pass(end),
                (_, None) => malformed("an element that is no sequence has no length"),
            },
        }
    }

    fn enter(&mut self, level: Level) -> Result<(), DicomError> {
        if self.levels.len() >= 2 * DEEPEST {
            return Err(DicomError::Nesting(DEEPEST));
        }
        self.levels.push(level);
        Ok(())
    }

    fn pass(&mut self, end: u64) -> Result<(), DicomError> {
        self.prefix.at = end;
        self.prefix.fill_to(end)
    }
}
