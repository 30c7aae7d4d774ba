use crate::datatype::ByteOrder;

/// Number of bytes from the beginning of a file that tell its format: the longest header, that of NIfTI-2.
pub(crate) const HEAD: usize = 540;

/// What the beginning of a (decompressed) file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    Nifti {
        version: NiftiVersion,
        order: ByteOrder,
    },
    Analyze,
    Dicom,
    Nrrd,
    MetaImage,
    /// An archive, in which there may be DICOM.
    Zip,
    Text,
    Unknown,
}

/// Which of the two header layouts a NIfTI file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NiftiVersion {
    One,
    Two,
}

/// First bytes of a zip archive.
pub(crate) const ZIP: [u8; 4] = *b"PK\x03\x04";

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
    if head.get(128..132) == Some(b"DICM") || is_bare_dicom(head) {
        Content::Dicom
    } else if head.starts_with(&ZIP) {
        Content::Zip
    } else if head.starts_with(b"NRRD") {
        Content::Nrrd
    } else if head.starts_with(b"ObjectType") || head.starts_with(b"NDims") {
        Content::MetaImage
    } else {
        text_or_unknown(head)
    }
}

/// Whether a file begins as a DICOM data set without the preamble that files have: with an element of group 8, whose
/// representation is two letters, or whose length is short.
fn is_bare_dicom(head: &[u8]) -> bool {
    match head.first_chunk::<8>() {
        Some([8, 0, _, 0, a, b, ..]) if a.is_ascii_uppercase() && b.is_ascii_uppercase() => true,
        Some([8, 0, element, 0, length, 0, 0, 0]) => *element <= 0x80 && *length <= 64,
        _ => false,
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
            (b"\x08\0\x05\0CS\x0a\0ISO_IR 100", Content::Dicom),
            (b"\x08\0\x08\0\x16\0\0\0ORIGINAL\\PRIMARY\\AXIAL", Content::Dicom),
            (b"PK\x03\x04\x14\0\0\0", Content::Zip),
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
