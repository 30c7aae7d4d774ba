//! Pages in a browser, where Chromium, Node.js and the packages of `tests/browser` are installed; otherwise nothing is
//! tested.

use std::path::{Path, PathBuf};
use std::process::Command;

use hepar_formats::{GridHeader, write_labels, write_scan};
use hepar_phantom::{Phantom, PhantomSpec};
use hepar_volume::{Geometry, Volume};

use crate::program::{folder_with_scan, hepar, real, segment, spec, write_phantom};

fn script() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser");
    let has_node = Command::new("node").arg("--version").output().is_ok_and(|run| run.status.success());
    let chromium = std::env::var("CHROMIUM").unwrap_or("/usr/bin/chromium".into());
    if has_node && Path::new(&chromium).exists() && folder.join("node_modules/playwright-core").is_dir() {
        return Some(folder.join("report.mjs"));
    }
    println!("skipped: Chromium, node or tests/browser/node_modules is missing");
    None
}

/// Opens a page and asserts that the browser has nothing to say against it.
#[track_caller]
pub fn open(kind: &str, page: &Path) {
    let Some(script) = script() else { return };
    let run = Command::new("node").arg(script).arg(kind).arg(page).output().unwrap();
    assert!(run.status.success(), "{}: {}", page.display(), String::from_utf8_lossy(&run.stderr));
}

/// The report of a phantom's scan and its true labels, opened in the browser.
fn open_report_of(phantom: &Phantom) {
    let folder = tempfile::tempdir().unwrap();
    write_phantom(folder.path(), "a", phantom);
    hepar(folder.path(), &["report", "--ct", "a_ct.nii.gz", "--labels", "a_label.nii.gz", "-o", "out", "-q"]).expect(0);
    open("case", &folder.path().join("out/report.html"));
}

#[test]
fn the_report_of_a_scan_shows_planes_and_surfaces_and_goes_to_a_lesion() {
    open_report_of(&spec().build().unwrap());
}

#[test]
fn a_healthy_liver_has_a_report_that_works() {
    open_report_of(&PhantomSpec { tumours: 0, ..spec() }.build().unwrap());
}

#[test]
fn a_scan_of_twenty_slices_has_a_report_that_works() {
    let phantom = spec().build().unwrap();
    let bounds = hepar_volume::VoxelBox::new([20, 0, 0], [40, 80, 80]).unwrap();
    let (ct, labels) = (phantom.ct.crop(&bounds), phantom.labels.crop(&bounds));
    open_report_of(&Phantom { ct, labels, ..phantom });
}

#[test]
fn the_crosshair_goes_to_the_lesion_of_an_oblique_scan_not_beside_it() {
    let phantom = spec().build().unwrap();
    let mut affine = *phantom.ct.geometry().affine();
    let (cos, sin) = (0.9f64, 0.19f64.sqrt());
    // Turned about the patient's right–left axis, as a tilted head rest would.
    let (second, third) = (affine[1], affine[2]);
    for column in 0..4 {
        affine[1][column] = cos * second[column] - sin * third[column];
        affine[2][column] = sin * second[column] + cos * third[column];
    }
    let geometry = Geometry::new(affine, phantom.ct.shape()).unwrap();
    let ct = Volume::new(phantom.ct.data().to_owned(), geometry.clone()).unwrap();
    let labels = Volume::new(phantom.labels.data().to_owned(), geometry).unwrap();
    open_report_of(&Phantom { ct, labels, ..phantom });
}

#[test]
fn a_scan_without_a_liver_has_a_report_that_works() {
    let phantom = spec().build().unwrap();
    let labels = phantom.labels.map(|_| 0);
    open_report_of(&Phantom { labels, ..phantom });
}

#[test]
fn outlines_of_thick_slices_stay_lines_in_the_first_and_last_slice() {
    let folder = tempfile::tempdir().unwrap();
    let geometry = Geometry::axis_aligned([6, 60, 60], [5.0, 2.0, 2.0]).unwrap();
    let grid = GridHeader::from_geometry(&geometry);
    // A liver that goes on beyond both ends of the scan.
    let labels = Volume::from_fn(geometry, |[_, j, i]| u8::from(j.abs_diff(30).pow(2) + i.abs_diff(30).pow(2) <= 400));
    // More values than labels have, or else it is no scan.
    let hu = |[_, j, i]: [usize; 3]| [40i16, 100][usize::from(labels.data()[[0, j, i]])] + ((3 * j + i) % 8) as i16;
    let scan = Volume::from_fn(labels.geometry().clone(), hu);
    write_scan(&folder.path().join("a.nii"), &scan, &grid).unwrap();
    write_labels(&folder.path().join("l.nii"), &labels, &grid).unwrap();
    hepar(folder.path(), &["report", "--ct", "a.nii", "--labels", "l.nii", "-o", "out", "-q"]).expect(0);
    open("outlines", &folder.path().join("out/report.html"));
}

#[test]
fn real_scans_have_reports_that_work() {
    for case in ["ircad/ircad19", "lits/lits000"] {
        let files = ["ct", "label"].map(|kind| format!("{case}_{kind}.nii.gz"));
        let (Some(_), Some(files)) = (script(), real(files.each_ref().map(String::as_str))) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let files = files.map(|path| path.to_str().unwrap().to_owned());
        hepar(folder.path(), &["report", "--ct", &files[0], "--labels", &files[1], "-o", "out", "-q"]).expect(0);
        let page = folder.path().join("out/report.html");
        assert!(std::fs::metadata(&page).unwrap().len() < 15_000_000);
        open("case", &page);
    }
}

#[test]
fn the_pages_of_a_cohort_and_of_an_evaluation_load_nothing() {
    let folder = folder_with_scan();
    std::fs::write(folder.path().join("broken.nii"), "no image").unwrap();
    std::fs::copy(folder.path().join("a_ct.nii.gz"), folder.path().join("b & c.nii.gz")).unwrap();
    segment(folder.path(), &["a_ct.nii.gz", "broken.nii", "b & c.nii.gz", "-o", "out", "-q"]).expect(6);
    open("page", &folder.path().join("out/cohort.html"));
    hepar(folder.path(), &["evaluate", "out/a_ct", "a_label.nii.gz", "--html", "scores.html"]).expect(0);
    open("page", &folder.path().join("scores.html"));
}

#[test]
fn a_volume_of_few_voxels_has_a_report_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let geometry = Geometry::axis_aligned([2, 2, 10], [5.0, 1.0, 1.0]).unwrap();
    let grid = GridHeader::from_geometry(&geometry);
    let scan = Volume::from_fn(geometry.clone(), |[_, _, i]| (i as i16 - 3) * 100);
    let labels = Volume::from_fn(geometry, |[_, _, i]| u8::from(i == 4));
    write_scan(&folder.path().join("a.nii"), &scan, &grid).unwrap();
    write_labels(&folder.path().join("l.nii"), &labels, &grid).unwrap();
    hepar(folder.path(), &["report", "--ct", "a.nii", "--labels", "l.nii", "-o", "out", "-q"]).expect(0);
    open("page", &folder.path().join("out/report.html"));
}
