//! Who the patient of a scan is, as far as its file says.

use std::path::Path;

use hepar_formats::inspect;
use hepar_report::page::Identity;

/// Where the scan is, and what its header says in free text, which may be a name.
pub(crate) fn identity_of(input: &Path) -> Identity {
    let mut known = vec![("File".to_owned(), input.display().to_string())];
    // A scan whose file has gone away still has the name that it had.
    if let Ok(header) = inspect(input) {
        let text = header.description.trim();
        known.extend((!text.is_empty()).then(|| ("Header".to_owned(), text.to_owned())));
    }
    Identity(known)
}
