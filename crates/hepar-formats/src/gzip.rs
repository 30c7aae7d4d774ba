use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// First byte of a gzip member.
const MAGIC: u8 = 0x1f;

/// The bytes of all members of a gzip stream, one after the other.
///
/// What follows the last member and is no member (padding of a tape, say) is ignored, as gzip itself does. The
/// checksum of a member is verified when its end is read.
pub(crate) struct Members<R: BufRead> {
    /// `None` only after the last member.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    pub(crate) fn new(compressed: R) -> Self {
        Self { member: Some(GzDecoder::new(compressed)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(member) = &mut self.member else { return Ok(0) };
            let read = member.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let mut rest = match self.member.take() {
                Some(member) => member.into_inner(),
                None => return Ok(0),
            };
            if rest.fill_buf()?.first() == Some(&MAGIC) {
                self.member = Some(GzDecoder::new(rest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn member(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Members::new(bytes).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn members_are_read_one_after_the_other_and_empty_ones_do_not_end_the_stream() {
        let stream = [member(b"liver "), member(b""), member(b"and tumour")].concat();
        assert_eq!(decoded(&stream).unwrap(), b"liver and tumour");
    }

    #[test]
    fn zeros_after_the_last_member_are_ignored() {
        let stream = [member(b"liver"), vec![0; 512]].concat();
        assert_eq!(decoded(&stream).unwrap(), b"liver");
    }

    #[test]
    fn a_wrong_checksum_and_a_missing_end_are_errors() {
        let whole = member(b"liver");
        let mut wrong = whole.clone();
        let crc = whole.len() - 8;
        wrong[crc] ^= 1;
        assert!(decoded(&wrong).is_err());
        for length in 1..whole.len() {
            assert_eq!(decoded(&whole[..length]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{length}");
        }
    }
}
