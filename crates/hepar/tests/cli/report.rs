//! `hepar report`, and the report that `hepar segment` writes.

use std::path::Path;

use hepar_formats::{GridHeader, read_labels, write_labels, write_scan};
use hepar_model::bundle::sha256;
use hepar_volume::Volume;

use crate::program::{folder_with_scan, hepar, json, names, phantom, segment};

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// `a_ct.nii.gz` with its true labels as a result in `out`.
fn labelled(folder: &Path, arguments: &[&str]) {
    let all = [&["report", "--ct", "a_ct.nii.gz", "--labels", "a_label.nii.gz", "-o", "out"], arguments].concat();
    hepar(folder, &all).expect(0);
}

#[test]
fn labels_from_elsewhere_get_a_result_of_their_own() {
    let folder = folder_with_scan();
    labelled(folder.path(), &["--pictures", "all", "--mesh", "glb"]);
    let out = folder.path().join("out");
    let files = ["labels.nii.gz", "lesions", "lesions.csv", "manifest.json", "mesh.glb", "montage.png", "preview.png"];
    assert_eq!(names(&out), [&files[..], &["report.html", "result.json"]].concat());
    let result = json(&out.join("result.json"));
    let lesions = result["lesions"].as_array().unwrap().len();
    assert_eq!((lesions, names(&out.join("lesions")).len()), (2, 2));
    assert!(std::fs::read(out.join("lesions/02.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(std::fs::read(out.join("mesh.glb")).unwrap().starts_with(b"glTF"));
    let manifest = json(&out.join("manifest.json"));
    assert!(manifest["model"].is_null() && manifest["labels"]["path"] == "a_label.nii.gz");
    assert_eq!(manifest["files"].as_object().unwrap().len(), 9);
    let report = text(&out.join("report.html"));
    for part in ["Lesion 2", "Beware", "default-src &#39;none&#39;", "NiiVue", "labels came from elsewhere"] {
        assert!(report.contains(&part.replace("&#39;", "'")), "no {part}");
    }
    hepar(folder.path(), &["report", "--ct", "a_ct.nii.gz", "--labels", "a_label.nii.gz", "-o", "out"])
        .fails(5, &["out: it exists; --force replaces it"]);
    labelled(folder.path(), &["--force", "--mesh", "stl", "--pictures", "none"]);
    let files = ["labels.nii.gz", "lesions", "lesions.csv", "manifest.json", "mesh", "report.html", "result.json"];
    assert_eq!(names(&out), files);
    assert_eq!(names(&out.join("mesh")), ["lesion-01.stl", "lesion-02.stl", "liver.stl"]);
    assert!(names(&out.join("lesions")).is_empty(), "pictures of an earlier result went");
}

#[test]
fn what_was_left_out_of_the_tumours_is_still_said_until_the_labels_change() {
    let folder = folder_with_scan();
    labelled(folder.path(), &[]);
    let out = folder.path().join("out");
    let kinds = || {
        let result = json(&out.join("result.json"));
        let cautions = result["cautions"].as_array().unwrap().clone();
        cautions.into_iter().map(|caution| caution["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = kinds();
    let mut result = json(&out.join("result.json"));
    let caution = serde_json::json!({"kind": "masses-beside", "lesions": 2, "ml": 5.25, "text": "two masses"});
    let sheets = serde_json::json!({"kind": "sheets-at-border", "lesions": 1, "ml": 0.5, "text": "a sheet"});
    result["cautions"].as_array_mut().unwrap().extend([sheets, caution]);
    std::fs::write(out.join("result.json"), result.to_string()).unwrap();
    let mut manifest = json(&out.join("manifest.json"));
    manifest["files"]["result.json"] = sha256(result.to_string().as_bytes()).into();
    std::fs::write(out.join("manifest.json"), manifest.to_string()).unwrap();
    hepar(folder.path(), &["report", "out"]).expect(0);
    let left_out = ["sheets-at-border", "masses-beside"].map(str::to_owned);
    assert_eq!(kinds(), [&before[..], &left_out[..]].concat());
    let labels = read_labels(&out.join("labels.nii.gz")).unwrap().volume.map(|&label| label.min(1));
    write_labels(&out.join("labels.nii.gz"), &labels, &GridHeader::from_geometry(labels.geometry())).unwrap();
    hepar(folder.path(), &["report", "out"]).expect(0);
    assert!(!left_out.iter().any(|kind| kinds().contains(kind)));
}

#[test]
fn a_result_is_made_again_with_what_it_held() {
    let folder = folder_with_scan();
    segment(folder.path(), &["a_ct.nii.gz", "--pictures", "all"]).expect(0);
    let out = folder.path().join("a_ct-hepar");
    let bytes = |name: &str| std::fs::read(out.join(name)).unwrap();
    let same = ["labels.nii.gz", "lesions.csv", "result.json", "preview.png", "montage.png", "lesions/01.png"];
    let (before, all) = (same.map(bytes), names(&out));
    let seconds = || json(&out.join("manifest.json"))["seconds"].clone();
    let total = seconds()["total"].clone();
    std::fs::remove_file(out.join("preview.png")).unwrap();
    let run = hepar(folder.path(), &["report", "a_ct-hepar"]).expect(0);
    assert!(run.out.contains("in a_ct-hepar/report.html"), "{}", run.out);
    assert_eq!((names(&out), same.map(bytes)), (all, before));
    assert!(seconds()["total"] == total && seconds()["report"].is_number(), "{}", seconds());
    let report = text(&out.join("report.html"));
    assert!(report.contains("placeholder 0") && report.contains("total "), "the model and the seconds are kept");
}

#[test]
fn after_a_replacement_that_was_interrupted_labels_are_told_by_their_own_manifest() {
    let folder = folder_with_scan();
    labelled(folder.path(), &[]);
    let out = folder.path().join("out");
    // The new labels took their place, nothing else did.
    let labels = read_labels(&out.join("labels.nii.gz")).unwrap();
    write_labels(&out.join("labels.nii.gz"), &labels.volume.map(|&label| label.min(1)), &labels.grid).unwrap();
    let next = |labels: &[u8]| {
        let mut manifest = json(&out.join("manifest.json"));
        manifest["files"]["labels.nii.gz"] = sha256(labels).into();
        manifest["labels"]["path"] = "new.nii.gz".into();
        std::fs::write(out.join(".manifest.json.next"), manifest.to_string()).unwrap();
    };
    next(b"other labels");
    hepar(folder.path(), &["report", "out"]).fails(3, &["replacing it was interrupted", "--force"]);
    next(&std::fs::read(out.join("labels.nii.gz")).unwrap());
    let run = hepar(folder.path(), &["report", "out"]).expect(0);
    assert!(!run.err.contains("were changed"), "{}", run.err);
    assert_eq!(json(&out.join("manifest.json"))["labels"]["path"], "new.nii.gz");
    assert!(!out.join(".manifest.json.next").exists());
}

#[test]
fn labels_that_were_corrected_by_hand_stay_and_are_followed() {
    let folder = folder_with_scan();
    segment(folder.path(), &["a_ct.nii.gz", "-q"]).expect(0);
    let path = folder.path().join("a_ct-hepar/labels.nii.gz");
    let labels = read_labels(&path).unwrap();
    write_labels(&path, &labels.volume.map(|&label| label.min(1)), &labels.grid).unwrap();
    let corrected = std::fs::read(&path).unwrap();
    let run = hepar(folder.path(), &["report", "a_ct-hepar"]).expect(0);
    assert!(run.err.contains("labels were changed after hepar wrote them"), "{}", run.err);
    assert_eq!(std::fs::read(&path).unwrap(), corrected);
    assert_eq!(json(&folder.path().join("a_ct-hepar/result.json"))["outcome"], "no-tumour");
    let report = text(&folder.path().join("a_ct-hepar/report.html"));
    assert!(report.contains("The labels were changed") && !report.contains("id=\"lesion-1\""));
    // Now they are known.
    assert!(!hepar(folder.path(), &["report", "a_ct-hepar"]).expect(0).err.contains("changed"));
    assert!(text(&folder.path().join("a_ct-hepar/report.html")).contains("The labels were changed"));
    assert_eq!(json(&folder.path().join("a_ct-hepar/manifest.json"))["labels_changed"], true);
    segment(folder.path(), &["a_ct.nii.gz", "-q", "--force"]).fails(5, &["a_ct-hepar/labels.nii.gz", "was changed"]);
    std::fs::write(folder.path().join("a_ct-hepar/lesions.csv"), "mine").unwrap();
    hepar(folder.path(), &["report", "a_ct-hepar"]).fails(5, &["lesions.csv", "was changed"]);
}

#[test]
fn tumours_drawn_into_a_result_of_the_liver_alone_are_not_hidden() {
    let folder = folder_with_scan();
    segment(folder.path(), &["a_ct.nii.gz", "-q", "--stages", "liver"]).expect(0);
    let out = folder.path().join("a_ct-hepar");
    assert_eq!(json(&out.join("result.json"))["outcome"], "liver-only");
    std::fs::copy(folder.path().join("a_label.nii.gz"), out.join("labels.nii.gz")).unwrap();
    let run = hepar(folder.path(), &["report", "a_ct-hepar"]).expect(0);
    assert!(run.out.contains("2 lesions"), "{}", run.out);
    let result = json(&out.join("result.json"));
    assert_eq!(result["outcome"], "tumours");
    assert!(result["tumour_ml"].as_f64().unwrap() > 0.0, "{result}");
}

#[test]
fn what_is_wrong_with_a_result_is_said() {
    let folder = folder_with_scan();
    hepar(folder.path(), &["report", "none"]).fails(3, &["none/manifest.json", "Is it the folder of a result?"]);
    hepar(folder.path(), &["report"]).expect(2);
    std::fs::write(folder.path().join("file.nii.gz"), "").unwrap();
    hepar(folder.path(), &["report", "--ct", "a_ct.nii.gz", "--labels", "a_label.nii.gz", "-o", "file.nii.gz"])
        .fails(5, &["file.nii.gz: it is a file", "Only `hepar segment` writes labels alone"]);
    segment(folder.path(), &["a_ct.nii.gz", "-o", "no-labels", "--stages", "liver", "--write", "nrrd", "-q"]).expect(0);
    hepar(folder.path(), &["report", "no-labels"]).fails(3, &["no-labels", "without labels", "segment again"]);
    labelled(folder.path(), &["-q"]);
    std::fs::rename(folder.path().join("a_ct.nii.gz"), folder.path().join("moved.nii.gz")).unwrap();
    hepar(folder.path(), &["report", "out"]).fails(3, &["a_ct.nii.gz is not there", "--ct"]);
    hepar(folder.path(), &["report", "out", "--ct", "moved.nii.gz"]).expect(0);
    let other = hepar_volume::Geometry::axis_aligned([3, 4, 5], [2.0; 3]).unwrap();
    let small = Volume::from_fn(other.clone(), |[k, j, i]| (40 * k + 10 * j + i) as i16 - 100);
    write_scan(&folder.path().join("small.nii"), &small, &GridHeader::from_geometry(&other)).unwrap();
    hepar(folder.path(), &["report", "out", "--ct", "small.nii"]).fails(3, &["show out/labels.nii.gz on small.nii"]);
    // Another scan on the same grid will do, but it is told.
    write_scan(
        &folder.path().join("other.nii"),
        &phantom().ct.map(|&hu| hu.saturating_add(1)),
        &GridHeader::from_geometry(phantom().ct.geometry()),
    )
    .unwrap();
    let run = hepar(folder.path(), &["report", "out", "--ct", "other.nii"]).expect(0);
    assert!(run.err.contains("not the one that the result was made from"), "{}", run.err);
}

#[test]
fn what_a_report_of_another_scan_warned_of_is_taken_back_by_one_of_the_right_scan() {
    let folder = folder_with_scan();
    labelled(folder.path(), &["-q"]);
    let out = folder.path().join("out");
    let warnings = || json(&out.join("manifest.json"))["warnings"].as_array().unwrap().clone();
    let before = warnings();
    // Its reader warns too: hardly Hounsfield units.
    let other = phantom().ct.map(|&hu| hu.clamp(0, 255));
    write_scan(&folder.path().join("other.nii"), &other, &GridHeader::from_geometry(other.geometry())).unwrap();
    for (scan, added) in [("other.nii", 2), ("other.nii", 2), ("a_ct.nii.gz", 0)] {
        hepar(folder.path(), &["report", "out", "--ct", scan]).expect(0);
        assert_eq!(warnings().len(), before.len() + added, "{:?}", warnings());
        let says = text(&out.join("report.html")).contains("not the one that the result was made from");
        assert_eq!(says, added > 0);
    }
    assert_eq!(warnings(), before);
}

#[test]
fn names_are_text_and_paths_are_shown_only_to_who_asks() {
    let folder = folder_with_scan();
    let name = "<img src=x onerror=alert(1)>&'\"";
    let secret = folder.path().join("Anna Muster");
    std::fs::create_dir(&secret).unwrap();
    let scan = secret.join(format!("{name}.nii.gz"));
    std::fs::rename(folder.path().join("a_ct.nii.gz"), &scan).unwrap();
    let scan = scan.to_str().unwrap();
    let report = |arguments: &[&str]| {
        let all = [&["report", "--ct", scan, "--labels", "a_label.nii.gz", "-o", "out", "-q"], arguments].concat();
        hepar(folder.path(), &all).expect(0);
        text(&folder.path().join("out/report.html"))
    };
    let page = report(&[]);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&amp;&#39;&quot;") && !page.contains("<img src=x"));
    assert!(!page.contains("Anna Muster"));
    assert!(report(&["--force", "--identify"]).contains("Anna Muster"));
    // It has to be asked for every time.
    assert!(!report(&["--force"]).contains("Anna Muster"));
}

#[test]
fn a_case_without_a_liver_has_a_report_too() {
    let folder = folder_with_scan();
    let nothing = phantom().labels.map(|_| 0);
    write_labels(&folder.path().join("a_label.nii.gz"), &nothing, &GridHeader::from_geometry(nothing.geometry()))
        .unwrap();
    labelled(folder.path(), &["--pictures", "all", "--mesh", "stl"]);
    let files = ["labels.nii.gz", "lesions.csv", "manifest.json", "preview.png", "report.html", "result.json"];
    assert_eq!(names(&folder.path().join("out")), files);
    assert!(text(&folder.path().join("out/report.html")).contains("No liver was found"));
}
