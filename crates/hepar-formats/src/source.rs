use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::ZlibDecoder;

use crate::error::ReadErrorKind;
use crate::gzip::Members;
use crate::sniff::{self, HEAD};

/// Deflate makes at most this many bytes out of one.
const GREATEST_RATIO: u64 = 1032;

/// How a part of a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zlib,
}

/// The bytes of a file, decompressed if need be, from the first to the last.
pub(crate) struct Source {
    bytes: Chain<Cursor<Vec<u8>>, Box<dyn Read>>,
    head: Vec<u8>,
    length: u64,
    compressed: bool,
    position: u64,
}

impl Source {
    /// Opens a file and looks at its first bytes.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadErrorKind> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(ReadErrorKind::NotAnImage("it is a folder".to_owned()));
        }
        let mut magic = [0; 2];
        let compressed = fill(&mut file, &mut magic)? == 2 && sniff::is_gzip(&magic);
        file.rewind()?;
        let file = BufReader::with_capacity(1 << 16, file);
        let bytes: Box<dyn Read> = if compressed { Box::new(Members::new(file)) } else { Box::new(file) };
        let mut source = Self {
            bytes: Cursor::new(Vec::new()).chain(bytes),
            head: Vec::new(),
            length: metadata.len(),
            compressed,
            position: 0,
        };
        source.look_ahead()?;
        Ok(source)
    }

    /// The bytes of a file from `start` on, decompressed as the header in front of them says.
    pub(crate) fn part(path: &Path, start: u64, packing: Packing) -> Result<Self, ReadErrorKind> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len().saturating_sub(start);
        file.seek(SeekFrom::Start(start))?;
        let file = BufReader::with_capacity(1 << 16, file);
        let bytes: Box<dyn Read> = match packing {
            Packing::None => Box::new(file),
            Packing::Gzip => Box::new(Members::new(file)),
            Packing::Zlib => Box::new(ZlibDecoder::new(file)),
        };
        let bytes = Cursor::new(Vec::new()).chain(bytes);
        Ok(Self { bytes, head: Vec::new(), length, compressed: packing != Packing::None, position: 0 })
    }

    /// Reads the first bytes and puts them back.
    fn look_ahead(&mut self) -> Result<(), ReadErrorKind> {
        let mut head = vec![0; HEAD];
        let read = self.read(&mut head)?;
        head.truncate(read);
        self.head.clone_from(&head);
        // The chain's first part is empty and used up; its second goes on behind the head.
        let empty: Box<dyn Read> = Box::new(io::empty());
        let (_, rest) = std::mem::replace(&mut self.bytes, Cursor::new(Vec::new()).chain(empty)).into_inner();
        self.bytes = Cursor::new(head).chain(rest);
        self.position = 0;
        Ok(())
    }

    /// The first bytes, at most [`HEAD`]; fewer when the file is shorter.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Whether the file is compressed.
    pub(crate) fn compressed(&self) -> bool {
        self.compressed
    }

    /// Length of the file as it is on the disk.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The most bytes that the file can hold: exactly its length, or what the best compression could make of it.
    pub(crate) fn capacity(&self) -> u64 {
        if self.compressed { self.length.saturating_mul(GREATEST_RATIO) } else { self.length }
    }

    /// Fills `buffer` as far as there are bytes and says how far; a stream that breaks off just ends.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ReadErrorKind> {
        let start = self.position;
        let mut filled = 0;
        while filled < buffer.len() {
            match self.bytes.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read;
                    self.position = start + filled as u64;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::UnexpectedEof => break,
                    _ => return Err(self.failure(error)),
                },
            }
        }
        Ok(filled)
    }

    /// Goes on to byte `position`, which lies ahead.
    pub(crate) fn skip_to(&mut self, position: u64) -> Result<(), ReadErrorKind> {
        let mut buffer = [0; 1 << 13];
        while self.position < position {
            let step = (position - self.position).min(buffer.len() as u64) as usize;
            if self.read(&mut buffer[..step])? < step {
                return Err(ReadErrorKind::NoVoxels { offset: position, end: self.position });
            }
        }
        Ok(())
    }

    /// Reads the end of a compressed stream, where its checksum is.
    ///
    /// Much data behind the voxels is not decompressed to get there.
    pub(crate) fn verify_end(&mut self) -> Result<(), ReadErrorKind> {
        if !self.compressed {
            return Ok(());
        }
        let mut buffer = [0; 1 << 13];
        for _ in 0..8 {
            match self.bytes.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure(error)),
            }
        }
        Ok(())
    }

    fn failure(&self, error: io::Error) -> ReadErrorKind {
        let of_decoder =
            matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
        if self.compressed && of_decoder {
            ReadErrorKind::GzipBroken { good: self.position, reason: error.to_string() }
        } else {
            ReadErrorKind::Io(error)
        }
    }
}

/// Fills `buffer` as far as there are bytes and says how far.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
