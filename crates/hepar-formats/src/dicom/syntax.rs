//! Transfer syntaxes, PS3.5 Annex A and PS3.6 Annex A.

use std::fmt;

use dicom_dictionary_std::uids;
use dicom_transfer_syntax_registry::{TransferSyntax, TransferSyntaxIndex, TransferSyntaxRegistry};

use crate::datatype::ByteOrder;

/// How the data set and the pixels of an object are encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Syntax {
    uid: String,
}

/// How pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PixelCoding {
    Native(ByteOrder),
    Rle,
    /// Baseline, extended and lossless: ISO 10918-1.
    Jpeg,
    /// ISO 14495-1.
    JpegLs,
    /// ISO 15444-1 and -15.
    Jpeg2000,
    /// ISO 18181-1.
    JpegXl,
    /// No decoder.
    Other,
}

impl Syntax {
    pub(crate) fn new(uid: &str) -> Self {
        Self { uid: uid.trim_end_matches(['\0', ' ']).to_owned() }
    }

    pub(crate) fn implicit() -> Self {
        Self::new(uids::IMPLICIT_VR_LITTLE_ENDIAN)
    }

    pub(crate) fn explicit() -> Self {
        Self::new(uids::EXPLICIT_VR_LITTLE_ENDIAN)
    }

    pub(crate) fn is_implicit(&self) -> bool {
        self.uid == uids::IMPLICIT_VR_LITTLE_ENDIAN
    }

    pub(crate) fn is_deflated(&self) -> bool {
        self.uid == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    }

    pub(crate) fn order(&self) -> ByteOrder {
        if self.uid == EXPLICIT_BIG_ENDIAN { ByteOrder::Big } else { ByteOrder::Little }
    }

    /// The parser's description of how the (inflated) data set is encoded.
    pub(crate) fn of_data_set(&self) -> TransferSyntax {
        use dicom_transfer_syntax_registry::entries as known;
        match self.order() {
            ByteOrder::Big => known::EXPLICIT_VR_BIG_ENDIAN.erased(),
            ByteOrder::Little if self.is_implicit() => known::IMPLICIT_VR_LITTLE_ENDIAN.erased(),
            ByteOrder::Little => known::EXPLICIT_VR_LITTLE_ENDIAN.erased(),
        }
    }

    pub(crate) fn pixels(&self) -> PixelCoding {
        match self.uid.as_str() {
            uids::IMPLICIT_VR_LITTLE_ENDIAN
            | uids::EXPLICIT_VR_LITTLE_ENDIAN
            | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => PixelCoding::Native(ByteOrder::Little),
            EXPLICIT_BIG_ENDIAN => PixelCoding::Native(ByteOrder::Big),
            uids::RLE_LOSSLESS => PixelCoding::Rle,
            uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT | uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => {
                PixelCoding::Jpeg
            }
            uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => PixelCoding::JpegLs,
            uids::JPEG2000_LOSSLESS
            | uids::JPEG2000
            | uids::HTJ2K_LOSSLESS
            | uids::HTJ2K_LOSSLESS_RPCL
            | uids::HTJ2K => PixelCoding::Jpeg2000,
            uids::JPEGXL_LOSSLESS | uids::JPEGXLJPEG_RECOMPRESSION | uids::JPEGXL => PixelCoding::JpegXl,
            _ => PixelCoding::Other,
        }
    }
}

/// Retired in the standard of 2017, still found.
const EXPLICIT_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

impl fmt::Display for Syntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TransferSyntaxRegistry.get(&self.uid) {
            Some(known) => write!(f, "{} ({})", known.name(), self.uid),
            None => f.write_str(&self.uid),
        }
    }
}
