//! Scans to be segmented: one, or several with a table of all.

use std::path::{Path, PathBuf};

use hepar_pipeline::Findings;
use hepar_report::html::is_own_page;
use hepar_report::page::{CohortEntry, cohort_page, cohort_picture};
use hepar_report::{CohortRow, cohort_csv};

use crate::cases::{Scans, case_name, case_names, names_an_image};
use crate::error::{Error, ErrorKind, sentence};
use crate::output::{
    Contents, Destination, ImageFile, OutputError, OutputErrorKind, REPORT_FILE, ResultFolder, check_no_input,
    check_replaceable, write_file,
};
use crate::segment::{Options, SegmentedCase, Segmenter};
use crate::watch::Listener;

/// Name of the table of all cases.
pub const COHORT_FILE: &str = "cohort.csv";

/// Name of the page of all cases.
pub const COHORT_PAGE: &str = "cohort.html";

/// Folder of the results of several scans, when the user names none.
const COHORT_FOLDER: &str = "cohort-hepar";

/// What table and page say of a scan that was not segmented because the work was called off.
const INTERRUPTED: &str = "interrupted";

/// A scan and where its result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCase {
    /// Name of the case.
    pub name: String,
    /// File of the scan.
    pub input: PathBuf,
    /// Where the result goes.
    pub destination: Destination,
}

/// Scans that are ready to be segmented: it is known that all results can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort {
    cases: Vec<PlannedCase>,
    /// The table and the page, unless the scan is alone.
    summary: Option<Summary>,
}

/// Files that sum up a cohort.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Summary {
    table: PathBuf,
    page: PathBuf,
}

/// Told of each case as soon as it is over.
pub type Report<'a> = dyn FnMut(&PlannedCase, Result<&Findings, &Error>) + 'a;

impl PlannedCase {
    /// Segments the scan and writes the result.
    ///
    /// # Errors
    /// When the scan cannot be read or segmented, the result not be written, or the listener calls the work off.
    pub fn run(
        &self,
        segmenter: &mut Segmenter,
        options: &Options,
        listener: &dyn Listener,
    ) -> Result<SegmentedCase, Error> {
        let mut case = segmenter.segment(&self.input, options, listener)?;
        case.name.clone_from(&self.name);
        self.destination.write(&case, listener)?;
        Ok(case)
    }

    /// What the page of all cases says of it.
    fn entry(&self, result: Result<(Findings, String), String>) -> CohortEntry {
        CohortEntry { case: self.name.clone(), link: format!("{}/{REPORT_FILE}", self.name), result }
    }
}

impl Cohort {
    /// Plans the results of `scans`, at least one, and checks that they can be written.
    ///
    /// The result of a scan that is alone goes to `output`: a folder, or a `.nii.gz`, `.nrrd` or `.mha` file for labels
    /// alone; by default to `CASE-hepar`. Those of several, or of a folder of images, go to folders in `output`, by default
    /// `cohort-hepar`, with the table [`COHORT_FILE`] and the page [`COHORT_PAGE`]. `contents` says what a folder holds
    /// beside labels and tables. `force` lets results of hepar be replaced.
    ///
    /// # Errors
    /// When a result cannot be written, would overwrite what it must not or lie among the scans, or cases cannot be told
    /// apart.
    pub fn plan(
        scans: &Scans,
        output: Option<&Path>,
        options: &Options,
        contents: Contents,
        force: bool,
    ) -> Result<Self, Error> {
        let result_folder = |path: &Path| {
            check_no_input(path, scans.named())?;
            Ok::<_, Error>(ResultFolder::plan(path, force)?.holding(contents))
        };
        if let Some(input) = scans.alone() {
            let sources: Vec<&Path> = std::iter::once(input).chain(options.liver.as_deref()).collect();
            let name = case_name(input);
            let destination = match output {
                Some(file) if names_an_image(file) => {
                    check_no_input(folder_of(file), scans.named())?;
                    Destination::Labels(ImageFile::plan(file, force, &sources)?)
                }
                Some(folder) => Destination::Folder(result_folder(folder)?),
                None => Destination::Folder(result_folder(Path::new(&format!("{name}-hepar")))?),
            };
            let cases = vec![PlannedCase { name, input: input.to_owned(), destination }];
            return Ok(Self { cases, summary: None });
        }
        let names = case_names(scans.paths())?;
        let of_all = |name: &str| [COHORT_FILE, COHORT_PAGE].contains(&name);
        if let Some((name, path)) = names.iter().zip(scans.paths()).find(|(name, _)| of_all(name)) {
            return Err(ErrorKind::NameOfAll { name: name.clone(), path: path.clone() }.into());
        }
        let folder = output.unwrap_or(Path::new(COHORT_FOLDER));
        check_no_input(folder, scans.named())?;
        if folder.is_file() {
            return Err(OutputError::new(folder, OutputErrorKind::NotAFolder).into());
        }
        let summary = Summary { table: folder.join(COHORT_FILE), page: folder.join(COHORT_PAGE) };
        check_replaceable(&summary.table, force, |bytes| bytes.starts_with(cohort_csv(&[]).as_bytes()))?;
        check_replaceable(&summary.page, force, is_own_page)?;
        let plan = |(name, input): (String, &PathBuf)| {
            let destination = Destination::Folder(result_folder(&folder.join(&name))?);
            Ok(PlannedCase { name, input: input.clone(), destination })
        };
        let cases = names.into_iter().zip(scans.paths()).map(plan).collect::<Result<_, Error>>()?;
        Ok(Self { cases, summary: Some(summary) })
    }

    /// The table of all cases, unless the scan is alone.
    pub fn table(&self) -> Option<&Path> {
        self.summary.as_ref().map(|summary| summary.table.as_path())
    }

    /// The page of all cases, unless the scan is alone.
    pub fn page(&self) -> Option<&Path> {
        self.summary.as_ref().map(|summary| summary.page.as_path())
    }

    /// Segments all scans, tells `report` of each, and returns how many failed.
    ///
    /// Unless it is alone, a scan that fails does not keep the others from being segmented. What is done stays when the
    /// listener calls the work off; table and page then say which scans are not.
    ///
    /// # Errors
    /// When a scan that is alone fails, the table cannot be written, or the listener calls the work off.
    pub fn run(
        &self,
        segmenter: &mut Segmenter,
        options: &Options,
        listener: &dyn Listener,
        report: &mut Report<'_>,
    ) -> Result<usize, Error> {
        let mut entries = Vec::new();
        let ended = self.segment(segmenter, options, listener, report, &mut entries);
        // Before the first scan is over, the table of an earlier run is still that of the results that are there.
        if let Some(summary) = self.summary.as_ref().filter(|_| !entries.is_empty()) {
            let left = self.cases[entries.len()..].iter();
            entries.extend(left.map(|case| case.entry(Err(INTERRUPTED.to_owned()))));
            summary.write(&entries)?;
        }
        ended?;
        Ok(entries.iter().filter(|entry| entry.result.is_err()).count())
    }

    /// Segments all scans and puts what became of each into `entries`, as far as it comes.
    fn segment(
        &self,
        segmenter: &mut Segmenter,
        options: &Options,
        listener: &dyn Listener,
        report: &mut Report<'_>,
        entries: &mut Vec<CohortEntry>,
    ) -> Result<(), Error> {
        for case in &self.cases {
            let result = match case.run(segmenter, options, listener) {
                Ok(done) => {
                    report(case, Ok(done.findings()));
                    let labels = &done.segmentation.labels;
                    let picture = self.summary.as_ref().map(|_| {
                        cohort_picture(&done.scan.volume, labels, done.findings())
                            .unwrap_or_else(|error| sentence(&error))
                    });
                    Ok((done.segmentation.findings, picture.unwrap_or_default()))
                }
                Err(error) if self.summary.is_none() || error.is_interruption() => return Err(error),
                Err(error) => {
                    report(case, Err(&error));
                    Err(format!("failed to {}", sentence(&error)))
                }
            };
            entries.push(case.entry(result));
        }
        Ok(())
    }
}

impl Summary {
    fn write(&self, entries: &[CohortEntry]) -> Result<(), OutputError> {
        let row = |entry: &CohortEntry| {
            let result = entry.result.as_ref().map(|(findings, _)| findings.clone()).map_err(String::clone);
            CohortRow { case: entry.case.clone(), result }
        };
        let rows: Vec<CohortRow> = entries.iter().map(row).collect();
        write_file(&self.table, cohort_csv(&rows).as_bytes())?;
        write_file(&self.page, cohort_page(entries).as_bytes())
    }
}

/// The folder that a file is to lie in.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scans(names: &[&str]) -> Scans {
        Scans::of(&names.iter().map(PathBuf::from).collect::<Vec<_>>()).unwrap()
    }

    /// A plan of what is usual, into `output`.
    fn planned(scans: &Scans, output: &Path) -> Result<Cohort, Error> {
        Cohort::plan(scans, Some(output), &Options::default(), Contents::default(), false)
    }

    fn destinations(cohort: &Cohort) -> Vec<PathBuf> {
        cohort.cases.iter().map(|case| case.destination.path().to_owned()).collect()
    }

    #[test]
    fn one_scan_gets_a_folder_of_its_name_and_several_one_each() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let plan = |names: &[&str], output: Option<&Path>| {
            Cohort::plan(&scans(names), output, &Options::default(), Contents::default(), false).unwrap()
        };
        assert_eq!(destinations(&plan(&["x/a.nii.gz"], None)), [PathBuf::from("a-hepar")]);
        assert_eq!(destinations(&plan(&["x/a.nii.gz"], Some(&out))), std::slice::from_ref(&out));
        let several = plan(&["x/a.nii.gz", "y/b.nii"], Some(&out));
        assert_eq!(destinations(&several), [out.join("a"), out.join("b")]);
        assert_eq!(several.table(), Some(out.join(COHORT_FILE).as_path()));
        let labels = plan(&["x/a.nii.gz"], Some(&root.path().join("l.nii.gz")));
        assert!(matches!(labels.cases[0].destination, Destination::Labels(_)));
    }

    #[test]
    fn the_only_image_in_a_folder_lies_where_it_will_when_there_are_more() {
        let root = tempfile::tempdir().unwrap();
        let (folder, out) = (root.path().join("scans"), root.path().join("out"));
        std::fs::create_dir(&folder).unwrap();
        let scans = || Scans::of(std::slice::from_ref(&folder)).unwrap();
        let series = planned(&scans(), &out).unwrap();
        assert_eq!((destinations(&series), series.table()), (vec![out.clone()], None), "a folder of DICOM is one scan");
        std::fs::write(folder.join("a.nii"), "").unwrap();
        let images = planned(&scans(), &out).unwrap();
        assert_eq!(destinations(&images), [out.join("a")]);
        assert_eq!(images.table(), Some(out.join(COHORT_FILE).as_path()));
    }

    #[test]
    fn results_never_go_into_a_folder_that_they_are_made_of() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        ["a", "b", "b/new"].iter().for_each(|name| std::fs::create_dir(path(name)).unwrap());
        let of = |names: &[&str]| Scans::of(&names.iter().map(|name| path(name)).collect::<Vec<_>>()).unwrap();
        let refused = |names: &[&str], output: &str| {
            let error = planned(&of(names), &path(output)).unwrap_err();
            assert_eq!(error.exit_code(), crate::exit::USAGE);
            assert!(error.to_string().contains("it is an input"), "{error}");
        };
        refused(&["a"], "a");
        refused(&["a"], "b/../a");
        refused(&["a"], "a/labels.nii.gz");
        refused(&["a", "b"], "b");
        // The folders of the cases would be the studies themselves.
        refused(&["a", "b"], ".");
        assert!(planned(&of(&["b"]), &path("b/new")).is_ok());
        assert!(planned(&of(&["b"]), &path("b/new/labels.nii.gz")).is_ok());
        assert!(planned(&of(&["a"]), &path(".")).is_ok());
    }

    #[test]
    fn no_case_is_called_as_the_table_or_the_page_of_all() {
        let root = tempfile::tempdir().unwrap();
        for name in [COHORT_FILE, COHORT_PAGE] {
            let scan = format!("{name}.nii.gz");
            let error = planned(&scans(&["a.nii", &scan]), root.path()).unwrap_err();
            assert_eq!(error.exit_code(), crate::exit::USAGE);
            assert!(error.to_string().contains(&scan), "{error}");
            assert!(planned(&scans(&[&scan]), root.path()).is_ok(), "alone it is in nobody's way");
        }
    }

    #[test]
    fn a_table_of_others_is_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let table = root.path().join(COHORT_FILE);
        let (scans, options) = (scans(&["a.nii", "b.nii"]), Options::default());
        let plan = |force| Cohort::plan(&scans, Some(root.path()), &options, Contents::default(), force);
        std::fs::write(&table, "name,age\r\n").unwrap();
        assert!(sentence(&plan(true).unwrap_err()).contains("not written by hepar"));
        std::fs::write(&table, cohort_csv(&[])).unwrap();
        assert!(sentence(&plan(false).unwrap_err()).contains("--force"));
        assert!(plan(true).is_ok());
        std::fs::write(root.path().join(COHORT_PAGE), "<html>mine</html>").unwrap();
        assert!(sentence(&plan(true).unwrap_err()).contains("not written by hepar"));
        std::fs::write(root.path().join(COHORT_PAGE), cohort_page(&[])).unwrap();
        assert!(plan(true).is_ok());
    }
}
