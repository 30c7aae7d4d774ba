use crate::datatype::ByteOrder;

/// Number of bytes from the beginning of a file that tell its format: the longest header, that of NIfTI-2.
pub(crate) const HEAD: usize = 540;

/// What the beginning of a (decompressed) file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    Nifti { version: NiftiVersion, order: ByteOrder },
    Analyze,
    Dicom,
    Nrrd,
    MetaImage,
    Text,
    Unknown,
}

/// Which of the two header layouts a NIfTI file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NiftiVersion {
    One,
    Two,
}

/// Whether a file that begins with `bytes` is compressed with gzip.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// What a file is, from its first [`HEAD`] bytes, or all of them if it is shorter.
pub(crate) fn content(head: &[u8]) -> Content {
    let Some(first) = head.first_chunk::<4>() else {
        return if head.is_empty() { Content::Empty } else { text_or_unknown(head) };
    };
    for (order, size) in [(ByteOrder::Little, i32::from_le_bytes(*first)), (ByteOrder::Big, i32::from_be_bytes(*first))]
    {
        match size {
            // A header that is cut short is taken for NIfTI, so that its reader says so.
            348 if matches!(head.get(344..348), None | Some(b"n+1\0" | b"ni1\0")) => {
                return Content::Nifti { version: NiftiVersion::One, order };
            }
            348 => return Content::Analyze,
            540 if matches!(head.get(4..8), Some(b"n+2\0" | b"ni2\0")) => {
                return Content::Nifti { version: NiftiVersion::Two, order };
            }
            _ => {}
        }
    }
    if head.get(128..132) == Some(b"DICM") {
        Content::Dicom
    } else if head.starts_with(b"NRRD") {
        Content::Nrrd
    } else if head.starts_with(b"ObjectType") || head.starts_with(b"NDims") {
        Content::MetaImage
    } else {
        text_or_unknown(head)
    }
}

fn text_or_unknown(head: &[u8]) -> Content {
    let printable = |b: &u8| !b.is_ascii_control() || b.is_ascii_whitespace();
    // The head may end within a character of several bytes.
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    if valid && head.iter().all(printable) { Content::Text } else { Content::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let mut dicom = vec![0; 128];
        dicom.extend(b"DICM");
        let mut analyze = vec![0; 348];
        analyze[..4].copy_from_slice(&348i32.to_be_bytes());
        for (head, expected) in [
            (&b""[..], Content::Empty),
            (&dicom, Content::Dicom),
            (&analyze, Content::Analyze),
            (b"NRRD0005\n", Content::Nrrd),
            (b"ObjectType = Image\nNDims = 3\n", Content::MetaImage),
            (b"<!DOCTYPE html>", Content::Text),
            ("<p>Zu viele Anfragen f\u{fc}r".as_bytes(), Content::Text),
            (b"hi", Content::Text),
            (b"\x89PNG\r\n\x1a\n\0\0", Content::Unknown),
        ] {
            assert_eq!(content(head), expected, "{head:?}");
        }
    }
}
