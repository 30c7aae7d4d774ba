//! Which scans were named, and what their cases are called.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};

pub use hepar_formats::names_an_image;

/// Endings of image files, the longer ones first.
const ENDINGS: [&str; 13] = [
    ".nii.gz",
    ".nii",
    ".hdr.gz",
    ".hdr",
    ".img.gz",
    ".img",
    ".seg.nrrd",
    ".nrrd",
    ".nhdr",
    ".mha",
    ".mhd",
    ".dcm",
    ".zip",
];

/// Scans to be segmented, as the user named them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scans {
    named: Vec<PathBuf>,
    paths: Vec<PathBuf>,
}

impl Scans {
    /// The scans that `named` stand for: a folder that holds images for these, sorted by name and without hidden ones;
    /// everything else, a DICOM folder too, for itself.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn of(named: &[PathBuf]) -> Result<Self, Error> {
        let mut paths = Vec::new();
        for path in named {
            let images = if path.is_dir() { images_in(path)? } else { Vec::new() };
            if images.is_empty() {
                paths.push(path.clone());
            } else {
                paths.extend(images);
            }
        }
        Ok(Self { named: named.to_owned(), paths })
    }

    /// The files and folders that were named.
    pub fn named(&self) -> &[PathBuf] {
        &self.named
    }

    /// The files and DICOM folders of the scans.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The only scan, if it was named itself. A folder of images may hold more the next time, so that a scan in it is not
    /// alone even when it is the only one.
    pub fn alone(&self) -> Option<&Path> {
        match (&self.named[..], &self.paths[..]) {
            ([named], [path]) if named == path => Some(path),
            _ => None,
        }
    }
}

/// The images of formats that hold one volume a file directly in a folder, sorted by name; hidden ones are left out.
fn images_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| ErrorKind::Input { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let is_image = |path: &PathBuf| names_an_image(path) && !is_hidden(path) && path.is_file();
    let mut images: Vec<PathBuf> = paths.into_iter().filter(is_image).collect();
    images.sort();
    Ok(images)
}

/// Whether the name of a file begins with a dot: macOS puts `._ct.nii` beside `ct.nii` where a disk is not its own.
pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// The name of the case in `path`: the name of the file without the ending of its format, or that of the folder. A name of
/// which nothing, `.` or `..` would be left stays whole, for results go to folders of these names.
pub fn case_name(path: &Path) -> String {
    let name = file_name(path);
    let lower = name.to_ascii_lowercase();
    let ending = ENDINGS.iter().find(|ending| lower.ends_with(*ending) && lower.len() > ending.len());
    // The endings are ASCII, so that cutting off as many bytes leaves whole characters.
    let shorter = ending.map(|ending| &name[..name.len() - ending.len()]).filter(|left| !matches!(*left, "." | ".."));
    shorter.map_or_else(|| name.clone(), str::to_owned)
}

/// The names of several cases, each unlike the others; where file names are the same, the name of the folder is put
/// before: `anna_ct`, `bert_ct` for `anna/ct.nii.gz` and `bert/ct.nii.gz`.
///
/// # Errors
/// When two paths cannot be told apart even so, or are the same.
pub fn case_names(paths: &[PathBuf]) -> Result<Vec<String>, Error> {
    let short: Vec<String> = paths.iter().map(|path| case_name(path)).collect();
    let is_shared = |name: &String| short.iter().filter(|other| *other == name).count() > 1;
    let names: Vec<String> = short
        .iter()
        .zip(paths)
        .map(|(name, path)| if is_shared(name) { with_folder(name, path) } else { name.clone() })
        .collect();
    let mut seen = BTreeMap::new();
    for (name, path) in names.iter().zip(paths) {
        if let Some(first) = seen.insert(name, path) {
            let (name, first, second) = (name.clone(), first.clone(), path.clone());
            return Err(ErrorKind::CaseNames { name, first, second }.into());
        }
    }
    Ok(names)
}

/// The last part of a path; of `.`, `..` and the like that of the folder that they stand for.
fn file_name(path: &Path) -> String {
    let whole = if path.file_name().is_none() { path.canonicalize().ok() } else { None };
    let name = whole.as_deref().unwrap_or(path).file_name();
    name.map_or_else(|| "scan".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn with_folder(name: &str, path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).map(|folder| folder.to_string_lossy());
    folder.map_or(name.to_owned(), |folder| format!("{folder}_{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_called_as_its_file_without_the_ending() {
        let name = |path: &str| case_name(Path::new(path));
        assert_eq!(name("a/b.c.nii.gz"), "b.c");
        assert_eq!(name("ct.NII"), "ct");
        assert_eq!(name("pair.hdr"), "pair");
        assert_eq!(name("pair.img.gz"), "pair");
        assert_eq!(name("ct.seg.nrrd"), "ct");
        assert_eq!(name("study.zip"), "study");
        assert_eq!(name("folder/"), "folder");
        assert_eq!(name(".nii.gz"), ".nii.gz");
        assert_eq!(name("Überblick.nii"), "Überblick");
    }

    #[test]
    fn a_case_is_called_neither_a_dot_nor_two() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("study").join("series");
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(case_name(&inner.join("..")), "study");
        assert_eq!(case_name(&inner.join(".")), "series");
        assert_eq!(case_name(Path::new("/")), "scan");
        for file in ["..nii.gz", "...nii.gz", "...mha", "...seg.nrrd"] {
            assert_eq!(case_name(Path::new(file)), file);
        }
        assert_eq!(case_name(Path::new("....nii")), "...");
    }

    #[test]
    fn a_folder_stands_for_the_images_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        ["b.nii", "a.nii.gz", "notes.txt"].iter().for_each(|name| std::fs::write(path(name), "").unwrap());
        std::fs::create_dir(path("empty")).unwrap();
        let found = Scans::of(&[folder.path().to_owned(), path("empty"), path("none.nii")]).unwrap();
        assert_eq!(found.paths(), [path("a.nii.gz"), path("b.nii"), path("empty"), path("none.nii")]);
    }

    #[test]
    fn hidden_files_in_a_folder_are_no_scans() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        ["a.nii.gz", "._a.nii.gz", ".b.nii"].iter().for_each(|name| std::fs::write(path(name), "").unwrap());
        assert_eq!(Scans::of(&[folder.path().to_owned()]).unwrap().paths(), [path("a.nii.gz")]);
        let named = [path("._a.nii.gz")];
        assert_eq!(Scans::of(&named).unwrap().paths(), named, "one that was named");
    }

    #[test]
    fn a_scan_is_alone_when_it_was_named_itself() {
        let folder = tempfile::tempdir().unwrap();
        let scan = folder.path().join("a.nii");
        std::fs::write(&scan, "").unwrap();
        let alone = |named: &[&Path]| {
            let named: Vec<PathBuf> = named.iter().map(|path| path.to_path_buf()).collect();
            Scans::of(&named).unwrap().alone().map(Path::to_owned)
        };
        assert_eq!(alone(&[&scan]), Some(scan.clone()));
        assert_eq!(alone(&[folder.path()]), None);
        assert_eq!(alone(&[&scan, &scan]), None);
    }

    #[test]
    fn equal_file_names_are_told_apart_by_their_folders() {
        let names = |paths: &[&str]| case_names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["a/ct.nii", "b/ct.nii.gz", "b/other.nii"]).unwrap(), ["a_ct", "b_ct", "other"]);
        let error = names(&["x/a/ct.nii", "y/a/ct.nii"]).unwrap_err();
        assert_eq!(error.to_string(), "tell the cases apart: x/a/ct.nii and y/a/ct.nii would both be called a_ct");
        assert!(names(&["ct.nii", "ct.nii"]).is_err());
    }
}
