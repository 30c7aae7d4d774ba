//! Who the patient of a scan is, as far as its file says.

use std::path::Path;

use hepar_formats::{Scan, inspect};
use hepar_report::page::Identity;

/// Where the scan is, and what it says of the patient: attributes of a DICOM series, or the header's free text, which may
/// be a name.
pub(crate) fn identity_of(input: &Path, scan: &Scan) -> Identity {
    let mut known = vec![("File".to_owned(), input.display().to_string())];
    if let Some(series) = &scan.dicom {
        known.extend(series.patient().into_iter().map(|(name, text)| (name.to_owned(), text)));
    } else if let Ok(header) = inspect(input) {
        // A scan whose file has gone away still has the name that it had.
        let text = header.description.trim();
        known.extend((!text.is_empty()).then(|| ("Header".to_owned(), text.to_owned())));
    }
    Identity(known)
}
