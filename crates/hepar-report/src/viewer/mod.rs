//! The interactive part of a report: NiiVue with the scan around the liver, its labels and surfaces.

mod scene;

use hepar_pipeline::Findings;
use hepar_volume::Volume;

use crate::error::PictureError;
use crate::html::{Page, json_for_script};
use crate::palette::WINDOW;

pub(crate) use scene::Scene;

/// NiiVue, unchanged; see `vendor/niivue/README.md`.
const NIIVUE: &str = include_str!("../../vendor/niivue/niivue.umd.js");

/// Its version.
const NIIVUE_VERSION: &str = "0.69.0";

/// Its licence, which goes wherever it goes.
const NIIVUE_LICENCE: &str = include_str!("../../vendor/niivue/LICENSE");

/// The licences of what is in it.
const THIRD_PARTY: &str = include_str!("../../vendor/niivue/THIRD-PARTY.txt");

/// Shows a [`Scene`] in NiiVue.
const VIEWER: &str = include_str!("assets/viewer.js");

/// Windows to choose from, in Hounsfield units: name, black, white.
const WINDOWS: [(&str, f32, f32); 3] =
    [("Abdomen", WINDOW[0], WINDOW[1]), ("Liver", 15.0, 165.0), ("Liver, narrow", 50.0, 150.0)];

/// Puts the viewer of a case into a page, with surfaces of the `most` largest lesions.
///
/// Buttons anywhere on the page with `data-lesion="N"` take the crosshair to lesion N.
///
/// # Errors
/// When two axes of the scan are all but parallel.
pub(crate) fn push_viewer(
    page: &mut Page,
    scan: &Volume<i16>,
    labels: &Volume<u8>,
    findings: &Findings,
    most: usize,
) -> Result<(), PictureError> {
    let scene = Scene::of(scan, labels, findings, most)?;
    let windows: String = WINDOWS
        .iter()
        .map(|(name, low, high)| format!("<option value=\"{low} {high}\">{name} ({low} to {high} HU)</option>"))
        .collect();
    let [i, j, k] = scene.spacing();
    let part = match findings.liver_box {
        Some(_) => "The scan is cropped to what is around the liver",
        None => "All of the scan is shown",
    };
    let reduced = format!("{part}, in voxels of {i:.1} × {j:.1} × {k:.1} mm.");
    let json = serde_json::to_string(&scene).map_err(std::io::Error::from)?;
    page.push(&format!(
        "<section class=\"viewer\" aria-labelledby=\"viewer-title\">\n<h2 id=\"viewer-title\">Interactive view</h2>\n\
         <noscript><p class=\"missing\">The interactive viewer is missing: scripts are switched off. All pictures and \
         tables are on this page.</p></noscript>\n\
         <p id=\"viewer-status\" class=\"missing\" role=\"status\" hidden></p>\n\
         <div id=\"viewer\" hidden>\n<div class=\"controls\">\n\
         <label>Window <select id=\"viewer-window\">{windows}</select></label>\n\
         <label>Labels <input id=\"viewer-opacity\" type=\"range\" min=\"0\" max=\"100\" value=\"35\"></label>\n\
         <label><input id=\"viewer-outline\" type=\"checkbox\"> outlines only</label>\n</div>\n\
         <output id=\"viewer-position\"></output>\n\
         <div class=\"screen\"><canvas id=\"viewer-planes\" tabindex=\"0\" role=\"application\" \
         aria-label=\"Three planes of the scan. Arrow keys move the crosshair in the axial slice, page up and page \
         down move it to the head and to the feet.\"></canvas></div>\n\
         <div class=\"screen\"><canvas id=\"viewer-body\" tabindex=\"0\" role=\"application\" \
         aria-label=\"Liver and lesions in three dimensions. Arrow keys turn them.\"></canvas></div>\n\
         <p>{reduced} Click or touch to move the crosshair, drag the lower picture to turn it; with the keyboard, \
         arrow keys, page up and page down. Click a picture first to scroll through slices with the wheel.</p>\n\
         </div>\n<script type=\"application/json\" id=\"scene\">{}</script>\n</section>\n",
        json_for_script(&json)
    ));
    page.script(NIIVUE);
    page.script(VIEWER);
    Ok(())
}

/// Whose work the viewer is, with the licences, for the foot of a page.
pub(crate) fn acknowledgement() -> String {
    format!(
        "<details><summary>The interactive view is NiiVue {NIIVUE_VERSION}: its licence</summary>\n\
         <pre>{}\n{}</pre></details>\n",
        crate::html::escaped(NIIVUE_LICENCE),
        crate::html::escaped(THIRD_PARTY)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn niivue_is_the_file_that_its_readme_names() {
        let hash: String = Sha256::digest(NIIVUE).iter().map(|byte| format!("{byte:02x}")).collect();
        let readme = include_str!("../../vendor/niivue/README.md");
        assert!(readme.contains(&hash) && readme.contains(NIIVUE_VERSION), "{hash}");
    }

    #[test]
    fn no_script_ends_before_its_end() {
        for script in [NIIVUE, VIEWER] {
            let lower = script.to_ascii_lowercase();
            assert!(!lower.contains("</script") && !lower.contains("<!--"));
        }
    }
}
