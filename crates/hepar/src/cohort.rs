//! Scans to be segmented: one, or several with a table of all.

use std::path::{Path, PathBuf};

use hepar_pipeline::Findings;
use hepar_report::html::is_own_page;
use hepar_report::page::{CohortEntry, cohort_page, cohort_picture};
use hepar_report::{CohortRow, cohort_csv};

use crate::cases::{case_name, case_names, names_an_image};
use crate::error::{Error, sentence};
use crate::output::{
    Contents, Destination, ImageFile, OutputError, OutputErrorKind, REPORT_FILE, ResultFolder, check_replaceable,
    write_file,
};
use crate::segment::{Options, SegmentedCase, Segmenter};
use crate::watch::Listener;

/// Name of the table of all cases.
pub const COHORT_FILE: &str = "cohort.csv";

/// Name of the page of all cases.
pub const COHORT_PAGE: &str = "cohort.html";

/// Folder of the results of several scans, when the user names none.
const COHORT_FOLDER: &str = "cohort-hepar";

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
    /// The table and the page, for several scans.
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
}

impl Cohort {
    /// Plans the results of `inputs`, at least one, and checks that they can be written.
    ///
    /// The result of one scan goes to `output`: a folder, or a `.nii.gz`, `.nrrd` or `.mha` file for labels alone; by default to
    /// `CASE-hepar`. Those of several go to folders in `output`, by default `cohort-hepar`, with the table
    /// [`COHORT_FILE`] and the page [`COHORT_PAGE`]. `contents` says what a folder holds beside labels and tables.
    /// `force` lets results of hepar be replaced.
    ///
    /// # Errors
    /// When a result cannot be written or would overwrite what it must not, or cases cannot be told apart.
    pub fn plan(
        inputs: &[PathBuf],
        output: Option<&Path>,
        options: &Options,
        contents: Contents,
        force: bool,
    ) -> Result<Self, Error> {
        let result_folder = |path: &Path| ResultFolder::plan(path, force).map(|folder| folder.holding(contents));
        if let [input] = inputs {
            let sources: Vec<&Path> = std::iter::once(input.as_path()).chain(options.liver.as_deref()).collect();
            let name = case_name(input);
            let destination = match output {
                Some(file) if names_an_image(file) => Destination::Labels(ImageFile::plan(file, force, &sources)?),
                Some(folder) => Destination::Folder(result_folder(folder)?),
                None => Destination::Folder(result_folder(Path::new(&format!("{name}-hepar")))?),
            };
            let cases = vec![PlannedCase { name, input: input.clone(), destination }];
            return Ok(Self { cases, summary: None });
        }
        let folder = output.unwrap_or(Path::new(COHORT_FOLDER));
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
        let cases = case_names(inputs)?.into_iter().zip(inputs).map(plan).collect::<Result<_, Error>>()?;
        Ok(Self { cases, summary: Some(summary) })
    }

    /// The table of all cases, for several scans.
    pub fn table(&self) -> Option<&Path> {
        self.summary.as_ref().map(|summary| summary.table.as_path())
    }

    /// The page of all cases, for several scans.
    pub fn page(&self) -> Option<&Path> {
        self.summary.as_ref().map(|summary| summary.page.as_path())
    }

    /// Segments all scans, tells `report` of each, and returns how many failed.
    ///
    /// Of several scans, one that fails does not keep the others from being segmented. What is done stays when the
    /// listener calls the work off.
    ///
    /// # Errors
    /// When the only scan fails, the table cannot be written, or the listener calls the work off.
    pub fn run(
        &self,
        segmenter: &mut Segmenter,
        options: &Options,
        listener: &dyn Listener,
        report: &mut Report<'_>,
    ) -> Result<usize, Error> {
        let (mut rows, mut entries) = (Vec::new(), Vec::new());
        for case in &self.cases {
            let (result, picture) = match case.run(segmenter, options, listener) {
                Ok(done) => {
                    report(case, Ok(done.findings()));
                    let labels = &done.segmentation.labels;
                    let picture = self.summary.as_ref().map(|_| {
                        cohort_picture(&done.scan.volume, labels, done.findings())
                            .unwrap_or_else(|error| sentence(&error))
                    });
                    (Ok(done.segmentation.findings), picture)
                }
                Err(error) if self.summary.is_none() || error.is_interruption() => return Err(error),
                Err(error) => {
                    report(case, Err(&error));
                    (Err(format!("failed to {}", sentence(&error))), None)
                }
            };
            let shown = result.clone().map(|findings| (findings, picture.unwrap_or_default()));
            let link = format!("{}/{REPORT_FILE}", case.name);
            entries.push(CohortEntry { case: case.name.clone(), link, result: shown });
            rows.push(CohortRow { case: case.name.clone(), result });
        }
        if let Some(Summary { table, page }) = &self.summary {
            write_file(table, cohort_csv(&rows).as_bytes())?;
            write_file(page, cohort_page(&entries).as_bytes())?;
        }
        Ok(rows.iter().filter(|row| row.result.is_err()).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn one_scan_gets_a_folder_of_its_name_and_several_one_each() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let plan = |names: &[&str], output: Option<&Path>| {
            Cohort::plan(&inputs(names), output, &Options::default(), Contents::default(), false).unwrap()
        };
        let paths = |cohort: &Cohort| cohort.cases.iter().map(|c| c.destination.path().to_owned()).collect::<Vec<_>>();
        assert_eq!(paths(&plan(&["x/a.nii.gz"], None)), [PathBuf::from("a-hepar")]);
        assert_eq!(paths(&plan(&["x/a.nii.gz"], Some(&out))), std::slice::from_ref(&out));
        let several = plan(&["x/a.nii.gz", "y/b.nii"], Some(&out));
        assert_eq!(paths(&several), [out.join("a"), out.join("b")]);
        assert_eq!(several.table(), Some(out.join(COHORT_FILE).as_path()));
        let labels = plan(&["x/a.nii.gz"], Some(&root.path().join("l.nii.gz")));
        assert!(matches!(labels.cases[0].destination, Destination::Labels(_)));
    }

    #[test]
    fn a_table_of_others_is_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let table = root.path().join(COHORT_FILE);
        let (inputs, options) = (inputs(&["a.nii", "b.nii"]), Options::default());
        let plan = |force| Cohort::plan(&inputs, Some(root.path()), &options, Contents::default(), force);
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
