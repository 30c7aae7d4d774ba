//! Concepts of SNOMED CT and of DICOM's own dictionary (PS3.16 Annex D).

use crate::dicom::compose::Code;
use crate::segments::Meaning;

pub(crate) const LIVER: Code = Code("10200004", "SCT", "Liver");
const ANATOMICAL_STRUCTURE: Code = Code("123037004", "SCT", "Anatomical Structure");
const ABNORMAL_STRUCTURE: Code = Code("49755003", "SCT", "Morphologically Altered Structure");
const NEOPLASM: Code = Code("108369006", "SCT", "Neoplasm");

pub(crate) const SEGMENTATION: Code = Code("113076", "DCM", "Segmentation");
pub(crate) const SOURCE_IMAGE: Code = Code("121322", "DCM", "Source Image for Image Processing Operation");

/// Codes of other programs for what is a tumour here, in SNOMED CT and in SNOMED RT, which it replaced.
const TUMOURS: [&str; 16] = [
    "108369006",
    "M-8FFFF",
    "86049000",
    "M-80003",
    "14799000",
    "M-80006",
    "128462008",
    "4147007",
    "M-03000",
    "52988006",
    "M-01000",
    "25370001",
    "109841003",
    "93870000",
    "94381002",
    "126851005",
];

/// Codes for the liver.
const LIVERS: [&str; 3] = ["10200004", "T-62000", "181268008"];

/// Property category of a segment, CID 7150.
pub(crate) fn category(meaning: Meaning) -> Code {
    match meaning {
        Meaning::Liver => ANATOMICAL_STRUCTURE,
        Meaning::Tumour => ABNORMAL_STRUCTURE,
    }
}

/// Property type of a segment, CID 7166 and 7159.
pub(crate) fn type_of(meaning: Meaning) -> Code {
    match meaning {
        Meaning::Liver => LIVER,
        Meaning::Tumour => NEOPLASM,
    }
}

/// What a property type means; `None` for anything but liver and tumours.
pub(crate) fn meaning_of(code: &str) -> Option<Meaning> {
    if TUMOURS.contains(&code) { Some(Meaning::Tumour) } else { LIVERS.contains(&code).then_some(Meaning::Liver) }
}
