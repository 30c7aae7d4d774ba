//! Which cases there are.

mod naming;
mod patient;
mod slices;

use std::path::{Path, PathBuf};

pub(crate) use naming::CROPPED_MARK;
pub use patient::PatientId;
pub(crate) use slices::{calibrations, read_slices};

use hepar_formats::is_patient_folder;

use crate::error::DataError;
use naming::Found;

/// How many folders deep below a given one files are looked for.
const DEPTH: usize = 4;

/// A folder of this name holds files for tests; nothing in it is ever trained on.
const TEST_FOLDER: &str = "fixtures";

/// A patient's scan, or single slices of one, with labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Unique among the cases of a data set: `lits/lits011`, `volume-11`, `slices2d/scan-slices/lits011`.
    pub name: String,
    /// Whom it shows.
    pub patient: PatientId,
    /// Where it lies.
    pub source: Source,
    /// Whether it is known to be cropped in plane, as packed copies are.
    pub is_cropped: bool,
}

/// Where the voxels of a case are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A scan and its labels as two image files.
    Volume {
        /// The scan, in Hounsfield units.
        image: PathBuf,
        /// 0 background, 1 liver, 2 tumour, on the grid of the scan.
        labels: PathBuf,
    },
    /// Axial slices in an `.npz` file with the arrays `image` and `mask`, bytes `[n, j, i]`; for the localizer only.
    ///
    /// The table beside the file, `.csv`, has the columns `index` and `volume`, and `slope` and `intercept`: Hounsfield
    /// units are slope · stored + intercept.
    Slices {
        /// The file.
        file: PathBuf,
        /// Which slices of the file, ascending.
        indices: Vec<usize>,
    },
}

/// Finds the cases in folders and as many as four folders deep below each, in order of their names.
///
/// Looked for are `volume-N.nii[.gz]` beside `segmentation-N.nii[.gz]` (LiTS), `imagesTr/liver_N.nii.gz` with
/// `labelsTr/liver_N.nii.gz` (Medical Segmentation Decathlon), `X_ct.nii.gz` beside `X_label.nii.gz`, folders with
/// `PATIENT_DICOM` and `MASKS_DICOM` (3D-IRCADb; the given folder may be one), and `X.npz` beside `X.csv` (single slices). Folders
/// named `fixtures` are left out.
///
/// # Errors
/// When a folder cannot be read, a scan has no labels, two cases have the same name, or there are no cases at all.
pub fn discover(folders: &[PathBuf]) -> Result<Vec<Case>, DataError> {
    let cases = discover_all(folders)?;
    let without = cases.iter().find_map(|case| match &case.source {
        Source::Volume { image, labels } if !labels.exists() => Some((image.clone(), labels.clone())),
        _ => None,
    });
    without.map_or(Ok(cases), |(image, labels)| Err(DataError::NoLabels { image, labels }))
}

/// As [`discover`], with the scans that have no labels.
///
/// # Errors
/// When a folder cannot be read, two cases have the same name, or there are no cases at all.
pub fn discover_all(folders: &[PathBuf]) -> Result<Vec<Case>, DataError> {
    let mut cases: Vec<Case> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for folder in folders {
        let folder = folder.canonicalize().map_err(|source| DataError::Folder { path: folder.clone(), source })?;
        for file in files_below(&folder, DEPTH)? {
            if seen.insert(file.clone()) {
                cases.extend(cases_of(&file)?);
            }
        }
    }
    if cases.is_empty() {
        return Err(DataError::NoCases(folders.to_vec()));
    }
    slices::join_scans(&mut cases);
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    match cases.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(DataError::Duplicate(pair[0].name.clone())),
        None => Ok(cases),
    }
}

/// The files in a folder and `depth` folders deep below it, where a patient of 3D-IRCADb counts as a file; none when a part of
/// its path is the test folder.
fn files_below(folder: &Path, depth: usize) -> Result<Vec<PathBuf>, DataError> {
    if folder.components().any(|part| part.as_os_str() == TEST_FOLDER) {
        return Ok(Vec::new());
    }
    if is_patient_folder(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let failed = |source| DataError::Folder { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if !path.is_dir() {
            files.push(path);
        } else if depth > 0 || is_patient_folder(&path) {
            files.extend(files_below(&path, depth.saturating_sub(1))?);
        }
    }
    Ok(files)
}

/// The cases that a file brings: one for a scan, one for each volume of a file of slices, none for anything else.
fn cases_of(file: &Path) -> Result<Vec<Case>, DataError> {
    if file.is_dir() {
        // A patient of 3D-IRCADb: scan and masks are in the folder.
        let text = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = naming::case_name(&file.parent().map(text).unwrap_or_default(), &text(file));
        let source = Source::Volume { image: file.to_owned(), labels: file.to_owned() };
        return Ok(vec![Case { patient: PatientId::of(&name), name, source, is_cropped: false }]);
    }
    match naming::recognise(file) {
        Some(Found::Scan { name, labels, is_cropped }) => {
            let (patient, image) = (PatientId::of(&name), file.to_owned());
            Ok(vec![Case { name, patient, source: Source::Volume { image, labels }, is_cropped }])
        }
        Some(Found::Slices { name, table }) if table.exists() => slices::cases(&name, file, &table),
        _ => Ok(Vec::new()),
    }
}

/// Whether `entries`, names of cases or of their folders, name the case.
pub(crate) fn lists(entries: &[String], case: &str) -> bool {
    entries.iter().any(|entry| case == entry || case.strip_prefix(entry.as_str()).is_some_and(|r| r.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
    }

    fn names(root: &Path) -> Vec<String> {
        discover(&[root.to_owned()]).unwrap().into_iter().map(|case| case.name).collect()
    }

    #[test]
    fn all_layouts_are_found_below_a_folder_and_test_files_are_not() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            "a/volume-3.nii",
            "a/segmentation-3.nii",
            "msd/imagesTr/liver_7.nii.gz",
            "msd/labelsTr/liver_7.nii.gz",
            "lits/lits011_ct.nii.gz",
            "lits/lits011_label.nii.gz",
            "sparse/lits011_ct.nii.gz",
            "sparse/lits011_label.nii.gz",
            "masks/lits-liver-000.nii.gz",
            "fixtures/x_ct.nii.gz",
            "fixtures/x_label.nii.gz",
            "msd/imagesTr/._liver_7.nii.gz",
            "3Dircadb1/3Dircadb1.7/PATIENT_DICOM/image_0",
            "3Dircadb1/3Dircadb1.7/MASKS_DICOM/liver/image_0",
        ];
        touch(root.path(), &files);
        let found = ["3Dircadb1.7", "lits/lits011", "liver_7", "sparse/lits011", "volume-3"];
        assert_eq!(names(root.path()), found);
        assert_eq!(discover(&[root.path().to_owned()]).unwrap()[0].patient, PatientId::lits(34));
        let twice = [root.path().to_owned(), root.path().join("lits")];
        assert_eq!(discover(&twice).unwrap().len(), 5);
        assert!(discover(&[root.path().join("fixtures")]).is_err());
    }

    #[test]
    fn a_given_folder_may_be_a_patient_itself() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            "3Dircadb1.7/PATIENT_DICOM/image_0",
            "3Dircadb1.7/MASKS_DICOM/liver/image_0",
            "data/Anna/PATIENT_DICOM/image_0",
            "data/Anna/MASKS_DICOM/liver/image_0",
        ];
        touch(root.path(), &files);
        let patient = root.path().join("3Dircadb1.7");
        assert_eq!(names(&patient), ["3Dircadb1.7"]);
        assert_eq!(names(&root.path().join("data/Anna")), ["data/Anna"]);
        let twice = discover(&[root.path().to_owned(), patient]).unwrap();
        assert_eq!(twice.len(), 2);
        assert_eq!(twice[1].patient, PatientId::of("data/anna"));
    }

    #[test]
    fn slices_of_a_name_without_a_folder_show_whom_the_only_scan_of_this_name_shows() {
        let root = tempfile::tempdir().unwrap();
        for scan in ["data/anna", "P001/portal", "P002/portal"] {
            touch(root.path(), &[&format!("{scan}_ct.nii.gz"), &format!("{scan}_label.nii.gz")]);
        }
        touch(root.path(), &["slices/s.npz"]);
        let table = "index,volume\n0,anna\n1,portal\n2,P002/portal\n3,data/bert\n";
        std::fs::write(root.path().join("slices/s.csv"), table).unwrap();
        let cases = discover(&[root.path().to_owned()]).unwrap();
        let patient = |name: &str| cases.iter().find(|case| case.name == name).unwrap().patient.as_str();
        assert_eq!(patient("slices/s/anna"), patient("data/anna"));
        assert_eq!(patient("slices/s/portal"), "portal", "which of the two is not guessed");
        assert_eq!(patient("slices/s/P002/portal"), patient("P002/portal"));
        assert_eq!(patient("slices/s/data/bert"), "data/bert");
    }

    #[test]
    fn a_scan_without_labels_is_named() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), &["volume-3.nii.gz"]);
        let error = discover(&[root.path().to_owned()]).unwrap_err().to_string();
        assert!(error.contains("segmentation-3"), "{error}");
    }

    #[test]
    fn a_folder_without_cases_is_told_what_is_looked_for() {
        let root = tempfile::tempdir().unwrap();
        let error = discover(&[root.path().to_owned()]).unwrap_err().to_string();
        assert!(error.contains("volume-N.nii"), "{error}");
    }

    #[test]
    fn a_list_names_cases_or_their_folders() {
        let entries = ["lits/lits011".to_owned(), "sparse".to_owned()];
        assert!(lists(&entries, "lits/lits011") && lists(&entries, "sparse/lits014"));
        assert!(!lists(&entries, "lits/lits0112") && !lists(&entries, "sparser/x"));
    }
}
