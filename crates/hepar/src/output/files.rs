//! The files of a result: what is in each.

use hepar_report::mesh::{Detail, Surfaces, glb, stl};
use hepar_report::page::{CaseReport, Identity, PICTURED_LESIONS, case_page};
use hepar_report::{PictureError, lesion_picture, lesions_csv, montage, preview, result_json};
use rayon::prelude::*;

use crate::output::contents::{
    Contents, LESIONS_FILE, LESIONS_FOLDER, LIVER_STL, MESH_FILE, MESH_FOLDER, MONTAGE_FILE, MeshFormat, PREVIEW_FILE,
    Pictures, REPORT_FILE, RESULT_FILE,
};
use crate::output::folder::ResultCase;

/// A file of a result: its name within the folder, and its bytes or why there are none.
pub(super) type MadeFile = (String, Result<Vec<u8>, PictureError>);

/// Surfaces of more lesions than this would be of specks.
const MOST_SURFACES: usize = 1000;

/// Makes all files of a result but the labels and the manifest, and hands each on as soon as it is made.
///
/// # Errors
/// The first error of `take`.
pub(super) fn make_files<E>(
    case: &ResultCase<'_>,
    contents: Contents,
    identity: Option<&Identity>,
    take: &mut dyn FnMut(MadeFile) -> Result<(), E>,
) -> Result<(), E> {
    let (scan, labels, findings) = (&case.scan.volume, case.labels, case.findings);
    let mut put = |name: &str, bytes: Result<Vec<u8>, PictureError>| take((name.to_owned(), bytes));
    put(LESIONS_FILE, Ok(lesions_csv(findings).into_bytes()))?;
    put(RESULT_FILE, Ok(result_json(case.name, findings, scan.geometry()).into_bytes()))?;
    if contents.pictures != Pictures::None {
        put(PREVIEW_FILE, preview(scan, labels, findings, case.name).and_then(|picture| Ok(picture.png()?)))?;
    }
    if contents.pictures == Pictures::All {
        if let Some(made) =
            montage(scan, labels, findings).and_then(|m| Ok(m.map(|m| m.png()).transpose()?)).transpose()
        {
            put(MONTAGE_FILE, made)?;
        }
        let lesions: Vec<MadeFile> = (findings.lesions.par_iter().take(PICTURED_LESIONS))
            .map(|lesion| {
                let png = lesion_picture(scan, labels, lesion).and_then(|picture| Ok(picture.png()?));
                (format!("{LESIONS_FOLDER}/{:02}.png", lesion.id), png)
            })
            .collect();
        lesions.into_iter().try_for_each(|(name, bytes)| put(&name, bytes))?;
    }
    match contents.mesh {
        Some(MeshFormat::Glb) => put(MESH_FILE, Ok(glb(&Surfaces::of(labels, MOST_SURFACES, Detail::FILE))))?,
        Some(MeshFormat::Stl) => {
            let surfaces = Surfaces::of(labels, MOST_SURFACES, Detail::FILE);
            surfaces.liver.iter().try_for_each(|liver| put(LIVER_STL, Ok(stl(liver))))?;
            let mut lesions = surfaces.lesions.iter();
            lesions.try_for_each(|(n, lesion)| put(&format!("{MESH_FOLDER}/lesion-{n:02}.stl"), Ok(stl(lesion))))?;
        }
        None => {}
    }
    let provenance = case.manifest.provenance();
    let report = CaseReport { case: case.name, scan, labels, findings, provenance: &provenance, identity };
    put(REPORT_FILE, case_page(&report).map(String::into_bytes))
}
