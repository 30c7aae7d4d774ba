//! Files of events, which TensorBoard draws.
//!
//! A file is a sequence of records in the framing of TFRecord, each an `Event` as protocol buffers encode it: field
//! numbers are those of `event.proto` and `summary.proto` of TensorBoard. The first record states the version.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{TrainError, problem};

/// The version of the events: from 2 on, readers heed that a session starts.
const VERSION: &str = "brain.Event:2";

/// `SessionLog.SessionStatus` of a session that starts.
const START: u64 = 1;

/// Castagnoli's polynomial, reversed.
const CASTAGNOLI: u32 = 0x82f6_3b78;

/// A file of events; every event is in the file as soon as it is written.
#[derive(Debug)]
pub(crate) struct Events {
    path: PathBuf,
    file: File,
}

/// A message of protocol buffers in the making.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Events {
    /// A new file in `folder` for the steps after `step`.
    ///
    /// Readers take all files of a folder together, and forget what older ones say of these steps: they are about to be
    /// done again.
    pub fn create(folder: &Path, step: u64) -> Result<Self, TrainError> {
        let (path, file) = new_file(folder)?;
        let mut events = Self { path, file };
        events.append(&version(now()))?;
        events.append(&session_start(now(), step + 1))?;
        Ok(events)
    }

    /// Appends figures of a step with their tags.
    pub fn write<'a>(
        &mut self,
        step: u64,
        figures: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), TrainError> {
        self.append(&summary(now(), step, figures))
    }

    fn append(&mut self, event: &Message) -> Result<(), TrainError> {
        self.file.write_all(&framed(&event.0)).map_err(|e| problem(&self.path, &e))
    }
}

impl Message {
    /// Goes on with a field that is an integer or of an enumeration.
    fn varint(self, field: u64, value: u64) -> Self {
        self.key(field, 0).number(value)
    }

    /// Goes on with a field of 64 bits.
    fn double(self, field: u64, value: f64) -> Self {
        self.key(field, 1).raw(&value.to_le_bytes())
    }

    /// Goes on with a field that is a text or another message.
    fn bytes(self, field: u64, bytes: &[u8]) -> Self {
        self.key(field, 2).number(bytes.len() as u64).raw(bytes)
    }

    /// Goes on with a field of 32 bits.
    fn float(self, field: u64, value: f32) -> Self {
        self.key(field, 5).raw(&value.to_le_bytes())
    }

    /// The number of a field and how its value is encoded.
    fn key(self, field: u64, encoding: u64) -> Self {
        self.number((field << 3) | encoding)
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn number(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// An event that says nothing yet, at `time` in seconds since 1970.
fn event(time: f64, step: u64) -> Message {
    Message::default().double(1, time).varint(2, step)
}

/// The event that begins a file.
fn version(time: f64) -> Message {
    Message::default().double(1, time).bytes(3, VERSION.as_bytes())
}

/// The event that a session starts, whose first step is `step`.
fn session_start(time: f64, step: u64) -> Message {
    event(time, step).bytes(7, &Message::default().varint(1, START).0)
}

/// The event that a step has these figures.
fn summary<'a>(time: f64, step: u64, figures: impl IntoIterator<Item = (&'a str, f64)>) -> Message {
    let summary = figures.into_iter().fold(Message::default(), |summary, (tag, value)| {
        let value = Message::default().bytes(1, tag.as_bytes()).float(2, value as f32);
        summary.bytes(1, &value.0)
    });
    event(time, step).bytes(5, &summary.0)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A file that was not there, named after this second or the first after it whose name is free.
fn new_file(folder: &Path) -> Result<(PathBuf, File), TrainError> {
    let mut second = now() as u64;
    loop {
        let path = folder.join(format!("events.out.tfevents.{second:010}.hepar"));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => second += 1,
            Err(error) => return Err(problem(&path, &error)),
        }
    }
}

/// A record: length, checksum of the length, bytes, checksum of the bytes, all little-endian.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let checksums = [&length[..], bytes].map(|part| masked_checksum(part).to_le_bytes());
    [&length[..], &checksums[0][..], bytes, &checksums[1][..]].concat()
}

/// A checksum that may itself stand among bytes that are summed.
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (RFC 3720, section 12.1), bit by bit: records are short.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ CASTAGNOLI } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of a message, as it was encoded.
    #[derive(Debug, PartialEq)]
    enum Field {
        Varint(u64, u64),
        Double(u64, f64),
        Bytes(u64, Vec<u8>),
        Float(u64, f32),
    }

    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(count);
        *bytes = rest;
        taken
    }

    fn number(bytes: &mut &[u8]) -> u64 {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = take(bytes, 1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    fn fields(mut bytes: &[u8]) -> Vec<Field> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = number(&mut bytes);
            let field = key >> 3;
            fields.push(match key & 7 {
                0 => Field::Varint(field, number(&mut bytes)),
                1 => Field::Double(field, f64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
                2 => {
                    let length = number(&mut bytes) as usize;
                    Field::Bytes(field, take(&mut bytes, length).to_vec())
                }
                5 => Field::Float(field, f32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap())),
                encoding => panic!("field {field} is encoded as {encoding}"),
            });
        }
        fields
    }

    /// The bytes of the records of a file, whose checksums are right.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let checksum = |bytes: &mut &[u8]| u32::from_le_bytes(take(bytes, 4).try_into().unwrap());
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let length = take(&mut bytes, 8);
            assert_eq!(checksum(&mut bytes), masked_checksum(length));
            let record = take(&mut bytes, u64::from_le_bytes(length.try_into().unwrap()) as usize);
            assert_eq!(checksum(&mut bytes), masked_checksum(record));
            records.push(record.to_vec());
        }
        records
    }

    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        // RFC 3720, B.4: 32 bytes of zeros, and 32 of ones.
        assert_eq!((crc32c(&[0; 32]), crc32c(&[0xff; 32])), (0x8a91_36aa, 0x62a8_ab43));
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn records_and_messages_are_those_of_tensorboard() {
        // tests/oracles/events_tensorboard.py
        let golden = [
            "09000000000000f83f1a0d627261696e2e4576656e743a32",
            "09000000000000f83f10153a020801",
            "09000000000000f83f10ac022a0d0a0b0a046c6f7373150000003f",
        ];
        let messages = [version(1.5), session_start(1.5, 21), summary(1.5, 300, [("loss", 0.5)])];
        assert_eq!(messages.each_ref().map(|message| hexadecimal(&message.0)), golden);
        let record = format!("1b000000000000001a0d9e13{}69f9315b", golden[2]);
        assert_eq!(hexadecimal(&framed(&messages[2].0)), record);
    }

    fn hexadecimal(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_file_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = Events::create(folder.path(), 20).unwrap();
        events.write(30, [("loss", 0.5), ("dice/global", 0.25)]).unwrap();
        let bytes = std::fs::read(&events.path).unwrap();
        let events: Vec<Vec<Field>> = records(&bytes).iter().map(|record| fields(record)).collect();
        assert_eq!(events.len(), 3);
        assert!(events.iter().all(|event| matches!(event[0], Field::Double(1, time) if time > 1e9)));
        assert_eq!(events[0][1..], [Field::Bytes(3, VERSION.into())]);
        assert_eq!(events[1][1], Field::Varint(2, 21));
        let Field::Bytes(5, summary) = &events[2][2] else { panic!("{:?}", events[2]) };
        let values: Vec<Vec<Field>> = fields(summary)
            .iter()
            .map(|value| match value {
                Field::Bytes(1, value) => fields(value),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(events[2][1], Field::Varint(2, 30));
        assert_eq!(values[0], [Field::Bytes(1, b"loss".to_vec()), Field::Float(2, 0.5)]);
        assert_eq!(values[1], [Field::Bytes(1, b"dice/global".to_vec()), Field::Float(2, 0.25)]);
    }

    #[test]
    fn sessions_of_one_second_have_files_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [0, 10].map(|step| Events::create(folder.path(), step).unwrap().path);
        assert!(first < second, "readers take files in the order of their names");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
