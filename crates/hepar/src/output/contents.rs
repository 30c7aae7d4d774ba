use std::collections::BTreeMap;

/// What a result's folder holds beside labels, tables and the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents {
    /// Which pictures there are as files; the report has its own.
    pub pictures: Pictures,
    /// Whether there are surfaces, and in which format.
    pub mesh: Option<MeshFormat>,
    /// Whether the report may say who the patient is, as far as the scan's file does, and where that file was.
    pub identify: bool,
}

/// Pictures as files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pictures {
    /// None.
    None,
    /// One of everything.
    #[default]
    Preview,
    /// That, a montage, and one of every lesion that has pictures in the report.
    All,
}

/// A format of surfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeshFormat {
    /// One binary glTF file with the liver and all lesions.
    Glb,
    /// An STL file for the liver and one for each lesion.
    Stl,
}

/// The label volume in a result's folder.
pub const LABELS_FILE: &str = "labels.nii.gz";
/// The table of lesions in a result's folder.
pub const LESIONS_FILE: &str = "lesions.csv";
/// The figures in a result's folder.
pub const RESULT_FILE: &str = "result.json";
/// The picture in a result's folder.
pub const PREVIEW_FILE: &str = "preview.png";
/// The picture of all slices in a result's folder.
pub const MONTAGE_FILE: &str = "montage.png";
/// The report in a result's folder.
pub const REPORT_FILE: &str = "report.html";
/// The surfaces in a result's folder, as glTF.
pub const MESH_FILE: &str = "mesh.glb";
/// The folder of lesions' pictures in a result's folder.
pub const LESIONS_FOLDER: &str = "lesions";
/// The folder of surfaces in a result's folder, as STL.
pub const MESH_FOLDER: &str = "mesh";
/// The surface of the liver, as STL.
pub(super) const LIVER_STL: &str = "mesh/liver.stl";

impl Contents {
    /// What a folder holds whose manifest names `files`; that a report told who the patient is, is not kept.
    pub(crate) fn of(files: &BTreeMap<String, String>) -> Self {
        let has = |name: &str| files.contains_key(name);
        let pictures = match (has(MONTAGE_FILE), has(PREVIEW_FILE)) {
            (true, _) => Pictures::All,
            (false, true) => Pictures::Preview,
            (false, false) => Pictures::None,
        };
        let mesh = if has(MESH_FILE) { Some(MeshFormat::Glb) } else { has(LIVER_STL).then_some(MeshFormat::Stl) };
        Self { pictures, mesh, identify: false }
    }
}
