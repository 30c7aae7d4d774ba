//! What the name of a file says.

use std::path::{Path, PathBuf};

use super::PatientId;

/// End of the name of a file beside `X_ct.nii.gz` that says, by being there, that the scan was cropped in plane.
pub(crate) const CROPPED_MARK: &str = "_cropped.txt";

/// What a file is by its name.
pub(super) enum Found {
    /// A scan, whose labels should be in the file `labels`.
    Scan {
        /// Name of the case.
        name: String,
        /// Where the labels should be.
        labels: PathBuf,
        /// Whether a file beside it says that it was cropped in plane.
        is_cropped: bool,
    },
    /// Single slices, which the file `table` should describe.
    Slices {
        /// Name that the cases begin with.
        name: String,
        /// Where the table should be.
        table: PathBuf,
    },
}

/// What `file` is, or `None` when it is no scan and no file of slices.
pub(super) fn recognise(file: &Path) -> Option<Found> {
    let name = file.file_name()?.to_str()?;
    let folder = file.parent()?;
    let folder_name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    if let Some(stem) = name.strip_suffix(".npz") {
        return Some(Found::Slices {
            name: format!("{folder_name}/{stem}"),
            table: folder.join(format!("{stem}.csv")),
        });
    }
    let stem = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".nii")?;
    // A packed copy of `volume-3` is `volume-3_ct` with `volume-3_label`, so the endings come first.
    if let Some(case) = stem.strip_suffix("_ct").filter(|case| !case.starts_with('.')) {
        let labels = folder.join(name.replacen("_ct.nii", "_label.nii", 1));
        let is_cropped = folder.join(format!("{case}{CROPPED_MARK}")).is_file();
        return Some(Found::Scan { name: format!("{folder_name}/{case}"), labels, is_cropped });
    }
    if stem.ends_with("_label") {
        return None;
    }
    if let Some(number) = stem.strip_prefix("volume-").filter(|number| is_number(number)) {
        let plain = folder.join(format!("segmentation-{number}.nii"));
        let compressed = folder.join(format!("segmentation-{number}.nii.gz"));
        let labels = if plain.exists() { plain } else { compressed };
        return Some(Found::Scan { name: case_name(folder_name, stem), labels, is_cropped: false });
    }
    if folder_name == "imagesTr" && stem.starts_with("liver_") {
        let labels = folder.parent()?.join("labelsTr").join(name);
        return Some(Found::Scan { name: case_name(folder_name, stem), labels, is_cropped: false });
    }
    None
}

/// Name of a case that is called `name` and lies in `folder`: alone where it says whom the case shows.
///
/// Any other name is a patient's only together with its folder, which a packed copy lies in, too.
pub(super) fn case_name(folder: &str, name: &str) -> String {
    if PatientId::is_known(name) { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether a text is digits and nothing else.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
