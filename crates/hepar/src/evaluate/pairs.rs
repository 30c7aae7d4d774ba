//! Which file of one folder belongs to which of another.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use hepar_formats::{is_patient_folder, names_a_readable_image};

use crate::cases::{case_name, is_hidden};
use crate::evaluate::EvaluateError;
use crate::output::LABELS_FILE;

/// Endings of names that do not belong to the case.
const ENDINGS: [&str; 8] = ["-hepar", "_labels", "_label", "_segmentation", "_seg", "_pred", "_ct", "_mask"];

/// Beginnings of names that do not belong to the case.
const BEGINNINGS: [&str; 3] = ["segmentation-", "volume-", "labels-"];

/// The labels of a case and their reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Name of the case.
    pub case: String,
    /// File of the prediction.
    pub prediction: PathBuf,
    /// File of the reference.
    pub reference: PathBuf,
}

/// A file whose partner is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unpaired {
    /// A prediction.
    Prediction(PathBuf),
    /// A reference.
    Reference(PathBuf),
}

/// What belongs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// What both have, by name.
    pub pairs: Vec<Pair>,
    /// What only one has, by name.
    pub unpaired: Vec<Unpaired>,
    /// Whether two files were named, not two folders.
    pub single: bool,
}

impl Unpaired {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Prediction(path) | Self::Reference(path) => path,
        }
    }
}

impl fmt::Display for Unpaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prediction(path) => write!(f, "{} has no reference", path.display()),
            Self::Reference(path) => write!(f, "{} has no prediction", path.display()),
        }
    }
}

/// Pairs two files, or the label volumes of two folders by case.
///
/// A folder with `labels.nii.gz` counts as that file, and a patient of 3D-IRCADb as a file. In other folders, the cases
/// are the images by [`names_a_readable_image`] but for scans (names that end in `_ct` or begin with `volume-` where other
/// images do not), and the folders with `labels.nii.gz`; hidden ones are left out. Two belong together when their names are
/// equal but for the ending of the format, and a `_label`, `_seg`, `_ct`, `-hepar`, `segmentation-`, `volume-` or the like.
///
/// # Errors
/// When one is not there, one is a file and the other a folder of cases, or a folder cannot be listed, has two files of a
/// case, or shares none with the other.
pub fn pair(prediction: &Path, reference: &Path) -> Result<Pairing, EvaluateError> {
    for path in [prediction, reference] {
        std::fs::metadata(path).map_err(|source| EvaluateError::NotThere { path: path.to_owned(), source })?;
    }
    let (predicted, truth) = (result_file(prediction), result_file(reference));
    let is_folder_of_cases = |path: &Path| path.is_dir() && !is_patient_folder(path);
    match (is_folder_of_cases(&predicted), is_folder_of_cases(&truth)) {
        (false, false) => {
            let pair = Pair { case: case_of(prediction), prediction: predicted, reference: truth };
            Ok(Pairing { pairs: vec![pair], unpaired: Vec::new(), single: true })
        }
        (true, true) => pair_folders(&predicted, &truth),
        _ => Err(EvaluateError::FileAndFolder { prediction: predicted, reference: truth }),
    }
}

fn pair_folders(predictions: &Path, references: &Path) -> Result<Pairing, EvaluateError> {
    let (predicted, mut truth) = (cases(predictions)?, cases(references)?);
    let (mut pairs, mut unpaired) = (Vec::new(), Vec::new());
    for (case, prediction) in predicted {
        match truth.remove(&case) {
            Some(reference) => pairs.push(Pair { case, prediction, reference }),
            None => unpaired.push(Unpaired::Prediction(prediction)),
        }
    }
    unpaired.extend(truth.into_values().map(Unpaired::Reference));
    if pairs.is_empty() {
        let (predictions, references) = (predictions.to_owned(), references.to_owned());
        return Err(EvaluateError::NoPairs { predictions, references });
    }
    Ok(Pairing { pairs, unpaired, single: false })
}

/// The label volumes in a folder, by case.
fn cases(folder: &Path) -> Result<BTreeMap<String, PathBuf>, EvaluateError> {
    let failed = |source| EvaluateError::Folder { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_hidden(&path) {
            continue;
        }
        let file = result_file(&path);
        let is_image = names_a_readable_image(&path) && path.is_file();
        if (file != path) || is_image || is_patient_folder(&path) {
            files.push((path, file));
        }
    }
    // The system lists folders in any order.
    files.sort();
    if files.iter().any(|(path, _)| !looks_like_scan(path)) {
        files.retain(|(path, file)| path != file || !looks_like_scan(path));
    }
    let mut cases = BTreeMap::new();
    for (path, file) in files {
        let case = case_of(&path);
        if let Some(first) = cases.insert(case.clone(), file.clone()) {
            return Err(EvaluateError::Ambiguous { case, first, second: file });
        }
    }
    Ok(cases)
}

/// The label volume of a result's folder, or the path itself.
pub(super) fn result_file(path: &Path) -> PathBuf {
    let labels = path.join(LABELS_FILE);
    if labels.is_file() { labels } else { path.to_owned() }
}

fn looks_like_scan(path: &Path) -> bool {
    let name = case_name(path);
    name.ends_with("_ct") || name.starts_with("volume-")
}

/// The case of a file or of a result's folder.
fn case_of(path: &Path) -> String {
    let name = case_name(path);
    let mut case = name.as_str();
    // `a_ct-hepar` is the result of `a_ct`, which is the scan of `a`.
    while let Some(shorter) = ENDINGS.iter().find_map(|ending| case.strip_suffix(ending)).filter(|c| !c.is_empty()) {
        case = shorter;
    }
    let shorter = BEGINNINGS.iter().find_map(|beginning| case.strip_prefix(beginning));
    shorter.filter(|c| !c.is_empty()).unwrap_or(case).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    fn names(pairing: &Pairing) -> Vec<&str> {
        pairing.pairs.iter().map(|pair| pair.case.as_str()).collect()
    }

    #[test]
    fn cases_are_found_under_the_names_that_data_sets_give_them() {
        let predictions =
            folder(&["out/a_ct/labels.nii.gz", "out/46-hepar/labels.nii.gz", "out/b_pred.nii", "out/c.nii"]);
        let references =
            folder(&["a_label.nii.gz", "a_ct.nii.gz", "segmentation-46.nii", "volume-46.nii", "b_seg.nii", "c.nii.gz"]);
        let pairing = pair(&predictions.path().join("out"), references.path()).unwrap();
        assert_eq!(names(&pairing), ["46", "a", "b", "c"]);
        assert_eq!(pairing.pairs[0].reference, references.path().join("segmentation-46.nii"));
        assert_eq!(pairing.pairs[1].reference, references.path().join("a_label.nii.gz"));
        assert!(pairing.unpaired.is_empty() && !pairing.single);
    }

    #[test]
    fn labels_of_every_format_that_is_read_are_cases_and_a_pair_of_files_is_one() {
        let predictions =
            folder(&["a.mhd", "a.raw", "b.hdr", "b.img", "c.hdr.gz", "c.img.gz", "d.nhdr", "d.raw", "e.dcm", "f.mha"]);
        let references = folder(&["a.nii", "b.nii", "c.nii", "d.nii", "e.NII.GZ", "f_seg.nrrd", "notes.txt"]);
        let pairing = pair(predictions.path(), references.path()).unwrap();
        assert_eq!(names(&pairing), ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(pairing.pairs[1].prediction, predictions.path().join("b.hdr"));
        assert!(pairing.unpaired.is_empty(), "{:?}", pairing.unpaired);
    }

    #[test]
    fn hidden_files_in_a_folder_are_no_cases() {
        let predictions = folder(&["a.nii", "._a.nii", ".old/labels.nii.gz"]);
        let references = folder(&["a_seg.nii", "._a_seg.nii", ".a_ct.nii"]);
        let pairing = pair(predictions.path(), references.path()).unwrap();
        assert_eq!(names(&pairing), ["a"]);
        assert_eq!(pairing.pairs[0].reference, references.path().join("a_seg.nii"));
        assert!(pairing.unpaired.is_empty(), "{:?}", pairing.unpaired);
    }

    #[test]
    fn a_path_that_is_not_there_is_neither_a_file_nor_a_folder() {
        let here = folder(&["a.nii"]);
        let (file, gone) = (here.path().join("a.nii"), here.path().join("gone"));
        for there in [here.path(), &file] {
            for error in [pair(there, &gone).unwrap_err(), pair(&gone, there).unwrap_err()] {
                assert!(matches!(error, EvaluateError::NotThere { path, .. } if path == gone));
            }
        }
    }

    #[test]
    fn what_has_no_partner_is_named() {
        let (predictions, references) = (folder(&["a.nii", "b.nii"]), folder(&["b.nii", "c.nii"]));
        let pairing = pair(predictions.path(), references.path()).unwrap();
        assert_eq!(names(&pairing), ["b"]);
        let said: Vec<String> = pairing.unpaired.iter().map(ToString::to_string).collect();
        assert!(
            said[0].ends_with("a.nii has no reference") && said[1].ends_with("c.nii has no prediction"),
            "{said:?}"
        );
    }

    #[test]
    fn a_result_folder_is_a_file_and_folders_without_common_cases_are_refused() {
        let result = folder(&["labels.nii.gz", "manifest.json"]);
        let references = folder(&["x.nii", "x_seg.nii"]);
        let pairing = pair(result.path(), &references.path().join("x.nii")).unwrap();
        assert!(pairing.single && pairing.pairs[0].prediction == result.path().join(LABELS_FILE));
        assert!(matches!(pair(result.path(), references.path()), Err(EvaluateError::FileAndFolder { .. })));
        let other = folder(&["y.nii"]);
        assert!(matches!(pair(other.path(), references.path()), Err(EvaluateError::Ambiguous { .. })));
        assert!(matches!(pair(other.path(), folder(&["z.nii"]).path()), Err(EvaluateError::NoPairs { .. })));
    }
}
