//! What the name of a file says.

use std::path::{Path, PathBuf};

/// What a file is by its name.
pub(super) enum Found {
    /// A scan, whose labels should be in the file `labels`.
    Scan {
        /// Name of the case.
        name: String,
        /// Where the labels should be.
        labels: PathBuf,
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
        return Some(Found::Scan { name: format!("{folder_name}/{case}"), labels });
    }
    if stem.ends_with("_label") {
        return None;
    }
    if let Some(number) = stem.strip_prefix("volume-").filter(|number| is_number(number)) {
        let plain = folder.join(format!("segmentation-{number}.nii"));
        let compressed = folder.join(format!("segmentation-{number}.nii.gz"));
        let labels = if plain.exists() { plain } else { compressed };
        return Some(Found::Scan { name: stem.to_owned(), labels });
    }
    if folder_name == "imagesTr" && stem.starts_with("liver_") {
        return Some(Found::Scan { name: stem.to_owned(), labels: folder.parent()?.join("labelsTr").join(name) });
    }
    None
}

/// Whether a text is digits and nothing else.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
