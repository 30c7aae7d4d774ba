//! The folder of a result.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hepar_formats::Scan;
use hepar_pipeline::{Findings, Probabilities};
use hepar_report::page::Identity;
use hepar_volume::Volume;
use tempfile::TempDir;

use crate::error::{Error, sentence};
use crate::hash::sha256_of_file;
use crate::manifest::{MANIFEST_FILE, Manifest, Written};
use crate::output::contents::{
    Contents, LABELS_FILE, LESIONS_FILE, LESIONS_FOLDER, MESH_FILE, MESH_FOLDER, MONTAGE_FILE, PREVIEW_FILE,
    REPORT_FILE, RESULT_FILE,
};
use crate::output::file::is_taken;
use crate::output::files::make_files;
use crate::output::lock::FolderLock;
use crate::output::{
    OutputError, OutputErrorKind, Product, Products, check_writable, make_parent, nearest_folder, provenance,
};
use crate::segment::SegmentedCase;
use crate::watch::{Listener, go_on};

/// The manifest of a result that is taking the place of another one.
pub(crate) const NEXT_MANIFEST_FILE: &str = ".manifest.json.next";

/// Files that a result may have, beside its [`Product`]s and those in [`FOLDERS`]; the manifest is the last to appear.
const FILES: [&str; 7] = [LESIONS_FILE, RESULT_FILE, PREVIEW_FILE, MONTAGE_FILE, REPORT_FILE, MESH_FILE, MANIFEST_FILE];

/// Folders in which a result may have files.
const FOLDERS: [&str; 2] = [LESIONS_FOLDER, MESH_FOLDER];

/// All files that a result may have outside of these folders.
fn all_files() -> impl Iterator<Item = &'static str> {
    Product::ALL.map(Product::file).into_iter().chain(FILES)
}

/// A folder that may hold the result of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultFolder {
    path: PathBuf,
    overwrite: Overwrite,
    contents: Contents,
}

/// Which files of hepar may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overwrite {
    /// None.
    Never,
    /// Those that nobody has changed.
    Unchanged,
    /// Those that nobody has changed; the labels are left as they are, by whomever.
    AllButLabels,
}

/// A case whose result is written.
pub(crate) struct ResultCase<'a> {
    /// Name of the case.
    pub(crate) name: &'a str,
    /// The scan.
    pub(crate) scan: &'a Scan,
    /// Labels on the scan's grid.
    pub(crate) labels: &'a Volume<u8>,
    /// What they say.
    pub(crate) findings: &'a Findings,
    /// How sure the networks were, as far as that was kept.
    pub(crate) probabilities: &'a Probabilities,
    /// What is written of them.
    pub(crate) products: Products,
    /// How they came about.
    pub(crate) manifest: Manifest,
    /// When the work began.
    pub(crate) started: Instant,
}

impl<'a> ResultCase<'a> {
    /// A case that was segmented.
    fn of(case: &'a SegmentedCase) -> Self {
        Self {
            name: &case.name,
            scan: &case.scan,
            labels: &case.segmentation.labels,
            findings: case.findings(),
            probabilities: &case.segmentation.probabilities,
            products: case.products.clone(),
            manifest: Manifest::new(case),
            started: case.started,
        }
    }

    /// Who the patient is, when `contents` ask for it.
    fn identity(&self, contents: Contents) -> Option<Identity> {
        contents.identify.then(|| crate::identity::identity_of(Path::new(self.manifest.input_path()), self.scan))
    }
}

impl ResultFolder {
    /// A folder at `path`, existing or not, for a result of hepar.
    ///
    /// `force` lets it replace a result of hepar whose files nobody has changed.
    ///
    /// # Errors
    /// When the folder cannot be written, or holds files that must not be overwritten.
    pub fn plan(path: &Path, force: bool) -> Result<Self, OutputError> {
        Self::planned(path, if force { Overwrite::Unchanged } else { Overwrite::Never })
    }

    /// The folder of a result that is to be made again from its labels, which stay.
    ///
    /// # Errors
    /// When the folder cannot be written, or someone has changed another file in it.
    pub(crate) fn plan_again(path: &Path) -> Result<Self, OutputError> {
        Self::planned(path, Overwrite::AllButLabels)
    }

    fn planned(path: &Path, overwrite: Overwrite) -> Result<Self, OutputError> {
        let folder = Self { path: path.to_owned(), overwrite, contents: Contents::default() };
        if path.is_dir() {
            folder.check_files()?;
            check_writable(path).map_err(|error| OutputError::new(path, error))?;
        } else if is_taken(path) {
            return Err(OutputError::new(path, OutputErrorKind::NotAFolder));
        } else {
            check_writable(&nearest_folder(path)).map_err(|error| OutputError::new(path, error))?;
        }
        Ok(folder)
    }

    /// The same folder with other contents than by default.
    pub fn holding(self, contents: Contents) -> Self {
        Self { contents, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the result of a case: all files, or none when something fails.
    ///
    /// # Errors
    /// When a file cannot be written or must not be overwritten, or the listener has called the work off.
    pub fn write(&self, case: &SegmentedCase, listener: &dyn Listener) -> Result<(), Error> {
        self.write_result(ResultCase::of(case), listener)
    }

    /// As [`ResultFolder::write`], for results of any origin.
    pub(crate) fn write_result(&self, case: ResultCase<'_>, listener: &dyn Listener) -> Result<(), Error> {
        let started = Instant::now();
        let beside = if self.path.is_dir() { self.path.clone() } else { nearest_folder(&self.path) };
        let staging = staging_folder(&beside).map_err(|error| OutputError::new(&self.path, error))?;
        let mut hashes = BTreeMap::new();
        go_on(listener)?;
        if self.overwrite == Overwrite::AllButLabels {
            for name in self.lasting() {
                hashes.insert(name.to_owned(), self.hash(&self.path, name)?);
            }
        }
        listener.doing("writing labels");
        self.stage_products(&staging, &case, &mut hashes)?;
        go_on(listener)?;
        listener.doing("writing the report");
        let identity = case.identity(self.contents);
        make_files(&case, self.contents, identity.as_ref(), &mut |(name, made)| {
            go_on(listener)?;
            let made = made.map_err(|error| {
                OutputError::new(&self.path.join(&name), OutputErrorKind::Picture(sentence(&error)))
            })?;
            self.stage(&staging, &name, &made)?;
            hashes.insert(name.clone(), self.hash(staging.path(), &name)?);
            Ok::<_, Error>(())
        })?;
        let (write, total) = (started.elapsed(), case.started.elapsed());
        let manifest = match self.overwrite {
            // How long the stages took stays.
            Overwrite::AllButLabels => case.manifest.finished(hashes, &[("report", total)]),
            Overwrite::Never | Overwrite::Unchanged => {
                case.manifest.finished(hashes, &[("write", write), ("total", total)])
            }
        };
        self.stage(&staging, MANIFEST_FILE, manifest.to_json().as_bytes())?;
        go_on(listener)?;
        Ok(self.take(staging, manifest.files())?)
    }

    /// Writes the labels, in all formats that are wanted, to the staging folder, and takes note of the files' hashes.
    ///
    /// Of a result that is made again the labels stay, and the other files are made of them that were there.
    fn stage_products(
        &self,
        staging: &TempDir,
        case: &ResultCase<'_>,
        hashes: &mut BTreeMap<String, String>,
    ) -> Result<(), OutputError> {
        let others = || {
            let are_there = |product: &Product| self.path.join(product.file()).exists();
            let is_made = |product: &Product| *product != Product::Labels && !product.needs_probabilities();
            Product::ALL.into_iter().filter(is_made).filter(are_there).collect()
        };
        let products = match self.overwrite {
            Overwrite::AllButLabels => Products { files: Some(others()), ..case.products.clone() },
            Overwrite::Never | Overwrite::Unchanged => case.products.clone(),
        };
        let (name, version) = case.manifest.model_name().unwrap_or(("labels", "from elsewhere"));
        let made = provenance(name, version);
        products.write(case.scan, case.labels, case.findings, case.probabilities, &made, staging.path()).map_err(
            |error| OutputError::image(&self.path.join(error.path().file_name().unwrap_or_default()), &error),
        )?;
        for name in Product::ALL.map(Product::file).into_iter().filter(|name| staging.path().join(name).exists()) {
            hashes.insert(name.to_owned(), self.hash(staging.path(), name)?);
        }
        Ok(())
    }

    /// Files that stay when a result is made again: the labels, and what only the networks could make.
    fn lasting(&self) -> Vec<&'static str> {
        let lasts = |product: &Product| *product == Product::Labels || product.needs_probabilities();
        let names = Product::ALL.into_iter().filter(lasts).map(Product::file);
        names.filter(|name| self.path.join(name).exists()).collect()
    }

    /// Writes a file to the staging folder; an error names its final place.
    fn stage(&self, staging: &TempDir, name: &str, bytes: &[u8]) -> Result<(), OutputError> {
        let path = staging.path().join(name);
        make_parent(&path)?;
        fs::write(path, bytes).map_err(|error| OutputError::new(&self.path.join(name), error))
    }

    /// SHA-256 of a file in `folder`; an error names its final place.
    fn hash(&self, folder: &Path, name: &str) -> Result<String, OutputError> {
        sha256_of_file(&folder.join(name)).map_err(|error| OutputError::new(&self.path.join(name), error))
    }

    /// Moves a complete result, whose manifest names `files`, to its place.
    fn take(&self, staging: TempDir, files: &BTreeMap<String, String>) -> Result<(), OutputError> {
        if !is_taken(&self.path) {
            make_parent(&self.path)?;
            fs::rename(staging.path(), &self.path).map_err(|error| OutputError::new(&self.path, error))?;
            // It is no temporary folder any more.
            let _ = staging.keep();
            return Ok(());
        }
        let _lock = FolderLock::take(&self.path)?;
        // Someone may have put something there in the meantime.
        Self::planned(&self.path, self.overwrite)?;
        // Whoever stops this halfway finds files of two results, and both manifests to know them by.
        let (made, next) = (staging.path().join(MANIFEST_FILE), self.path.join(NEXT_MANIFEST_FILE));
        fs::rename(made, &next).map_err(|error| OutputError::new(&next, error))?;
        // What the earlier result had and this one has not would belong to nothing.
        for name in self.existing_files().into_iter().filter(|name| !files.contains_key(name) && name != MANIFEST_FILE)
        {
            let path = self.path.join(name);
            fs::remove_file(&path).map_err(|error| OutputError::new(&path, error))?;
        }
        for name in files.keys() {
            let (made, path) = (staging.path().join(name), self.path.join(name));
            if !made.exists() {
                continue;
            }
            make_parent(&path)?;
            fs::rename(made, &path).map_err(|error| OutputError::new(&path, error))?;
        }
        let path = self.path.join(MANIFEST_FILE);
        fs::rename(next, &path).map_err(|error| OutputError::new(&path, error))
    }

    /// Names of the files that are there and could be of a result.
    fn existing_files(&self) -> Vec<String> {
        let mut names: Vec<String> =
            all_files().filter(|name| self.path.join(name).exists()).map(str::to_owned).collect();
        for folder in FOLDERS {
            // What cannot be listed holds nothing that would be overwritten.
            let entries = fs::read_dir(self.path.join(folder)).into_iter().flatten().flatten();
            let mut files: Vec<String> =
                entries.map(|entry| format!("{folder}/{}", entry.file_name().to_string_lossy())).collect();
            files.sort();
            names.extend(files.into_iter().filter(|name| name.ends_with(".png") || name.ends_with(".stl")));
        }
        names
    }

    /// Checks that no file of the folder would be overwritten that must not be.
    fn check_files(&self) -> Result<(), OutputError> {
        // The second is there when a replacement was interrupted: some files are of it already.
        let manifests = [MANIFEST_FILE, NEXT_MANIFEST_FILE].map(|name| Written::read(&self.path.join(name)));
        let manifests: Vec<Written> = manifests.into_iter().flatten().collect();
        for name in self.existing_files() {
            let path = self.path.join(&name);
            if manifests.is_empty() {
                return Err(OutputError::new(&path, OutputErrorKind::Foreign));
            }
            if self.overwrite == Overwrite::Never {
                return Err(OutputError::new(&self.path, OutputErrorKind::Exists));
            }
            if name == MANIFEST_FILE || name == LABELS_FILE && self.overwrite == Overwrite::AllButLabels {
                continue;
            }
            let written: Vec<&str> = manifests.iter().filter_map(|manifest| manifest.hash(&name)).collect();
            if written.is_empty() {
                return Err(OutputError::new(&path, OutputErrorKind::Foreign));
            }
            let is_corrected = name == LABELS_FILE && manifests.iter().any(Written::has_changed_labels);
            if is_corrected || !written.contains(&self.hash(&self.path, &name)?.as_str()) {
                return Err(OutputError::new(&path, OutputErrorKind::Changed));
            }
        }
        Ok(())
    }
}

/// A folder in `beside` in which a result is made; it goes with all that is in it unless it is kept.
pub(super) fn staging_folder(beside: &Path) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hepar-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Less the umask, as for any new folder; the default of a temporary folder keeps others from reading it.
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(beside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hepar_model::bundle::sha256;

    fn kind_of(error: OutputError) -> String {
        error.kind().to_string()
    }

    fn folder_with(files: &[(&str, &str)], manifest: &str) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        if !manifest.is_empty() {
            fs::write(folder.path().join(MANIFEST_FILE), manifest).unwrap();
        }
        folder
    }

    #[test]
    fn files_of_others_are_never_overwritten() {
        let folder = folder_with(&[(LESIONS_FILE, "mine")], "");
        for force in [false, true] {
            assert!(kind_of(ResultFolder::plan(folder.path(), force).unwrap_err()).contains("not written by hepar"));
        }
        let folder = folder_with(&[("notes.txt", "mine")], "");
        assert!(ResultFolder::plan(folder.path(), false).is_ok(), "nothing would be overwritten");
    }

    #[test]
    fn a_result_whose_replacement_was_interrupted_can_be_replaced() {
        let manifest = |files: &[(&str, &str)]| {
            let files: Vec<String> =
                files.iter().map(|(name, text)| format!("\"{name}\": \"{}\"", sha256(text.as_bytes()))).collect();
            format!("{{\"program\": \"hepar\", \"files\": {{{}}}}}", files.join(", "))
        };
        let names = [LESIONS_FILE, REPORT_FILE];
        let [old, new] = ["old", "new"].map(|text| manifest(&names.map(|name| (name, text))));
        let folder = folder_with(&[(LESIONS_FILE, "new"), (REPORT_FILE, "old"), (NEXT_MANIFEST_FILE, &new)], &old);
        assert!(ResultFolder::plan(folder.path(), true).is_ok());
        fs::write(folder.path().join(REPORT_FILE), "mine").unwrap();
        assert!(kind_of(ResultFolder::plan(folder.path(), true).unwrap_err()).contains("changed"));
    }

    #[test]
    fn a_result_is_replaced_by_force_unless_it_was_changed() {
        let manifest = format!(
            "{{\"program\": \"hepar\", \"files\": {{\"{LESIONS_FILE}\": \"{}\"}}}}",
            sha256(b"as it was written")
        );
        let folder = folder_with(&[(LESIONS_FILE, "as it was written")], &manifest);
        assert!(kind_of(ResultFolder::plan(folder.path(), false).unwrap_err()).contains("--force"));
        assert!(ResultFolder::plan(folder.path(), true).is_ok());
        let folder = folder_with(&[(LESIONS_FILE, "corrected by hand")], &manifest);
        assert!(kind_of(ResultFolder::plan(folder.path(), true).unwrap_err()).contains("changed"));
        let hash = sha256(b"corrected, and the report made again");
        let manifest_of_corrected = format!(
            "{{\"program\": \"hepar\", \"labels_changed\": true, \"files\": {{\"{LABELS_FILE}\": \"{hash}\"}}}}"
        );
        let folder = folder_with(&[(LABELS_FILE, "corrected, and the report made again")], &manifest_of_corrected);
        assert!(kind_of(ResultFolder::plan(folder.path(), true).unwrap_err()).contains("changed"));
        assert!(ResultFolder::plan_again(folder.path()).is_ok());
        let folder = folder_with(&[(LABELS_FILE, "added by hand")], &manifest);
        assert!(kind_of(ResultFolder::plan(folder.path(), true).unwrap_err()).contains("not written by hepar"));
    }

    #[test]
    fn pictures_of_others_in_the_folders_of_a_result_are_never_overwritten() {
        let folder = folder_with(&[], "{\"program\": \"hepar\", \"files\": {}}");
        fs::create_dir(folder.path().join(LESIONS_FOLDER)).unwrap();
        assert!(ResultFolder::plan(folder.path(), true).is_ok());
        fs::write(folder.path().join("lesions/01.png"), "mine").unwrap();
        assert!(kind_of(ResultFolder::plan(folder.path(), true).unwrap_err()).contains("not written by hepar"));
    }

    #[test]
    fn a_folder_that_another_one_is_writing_into_is_left_alone() {
        let folder = folder_with(&[(LESIONS_FILE, "old")], "");
        let hashes = |text: &str| BTreeMap::from([(LESIONS_FILE.to_owned(), sha256(text.as_bytes()))]);
        let manifest = |text| serde_json::json!({ "program": "hepar", "files": hashes(text) }).to_string();
        fs::write(folder.path().join(MANIFEST_FILE), manifest("old")).unwrap();
        let result = ResultFolder::plan(folder.path(), true).unwrap();
        let take = || {
            let staging = staging_folder(folder.path()).unwrap();
            fs::write(staging.path().join(LESIONS_FILE), "new").unwrap();
            fs::write(staging.path().join(MANIFEST_FILE), manifest("new")).unwrap();
            result.take(staging, &hashes("new"))
        };
        let lesions = || fs::read_to_string(folder.path().join(LESIONS_FILE)).unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        assert!(kind_of(take().unwrap_err()).contains("another hepar is writing here"));
        assert_eq!(lesions(), "old");
        drop(lock);
        take().unwrap();
        assert_eq!(lesions(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no lock is left");
    }

    #[test]
    fn a_plan_leaves_nothing_behind_and_nothing_goes_below_a_file() {
        let root = tempfile::tempdir().unwrap();
        ResultFolder::plan(&root.path().join("a/b/c"), false).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let file = root.path().join("file");
        fs::write(&file, "text").unwrap();
        assert!(kind_of(ResultFolder::plan(&file, true).unwrap_err()).contains("need a folder"));
        assert!(ResultFolder::plan(&file.join("out"), true).is_err());
    }
}
