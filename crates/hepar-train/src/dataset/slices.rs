//! Single axial slices in `.npz` files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ndarray::{Array3, Axis, Ix3};

use super::{Case, PatientId, Source};
use crate::error::DataError;
use crate::npy::Npz;

/// How stored bytes become Hounsfield units: `slope · stored + intercept`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SliceCalibration {
    /// Hounsfield units in one step of a byte.
    pub slope: f32,
    /// Hounsfield units of 0.
    pub intercept: f32,
}

/// Files, by their names without ending, whose calibration is known though their tables do not state it: slices of
/// whole scans, clipped to −160..240 HU, and slices through livers that hold 0..255 HU.
const KNOWN: [(&str, SliceCalibration); 2] = [
    ("scan-slices", SliceCalibration { slope: 400.0 / 255.0, intercept: -160.0 }),
    ("liver-slices", SliceCalibration { slope: 1.0, intercept: 0.0 }),
];

/// What a line of a table says of one slice.
struct Row {
    index: usize,
    volume: String,
    /// `None` when the table has no columns for it.
    calibration: Option<SliceCalibration>,
}

impl SliceCalibration {
    /// Hounsfield units of a stored byte, rounded.
    pub fn hu(self, stored: i16) -> i16 {
        // The cast saturates.
        (f32::from(stored) * self.slope + self.intercept).round() as i16
    }
}

/// One case for each volume that the table names.
pub(super) fn cases(name: &str, file: &Path, table: &Path) -> Result<Vec<Case>, DataError> {
    let mut volumes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for row in rows(table)? {
        volumes.entry(row.volume).or_default().push(row.index);
    }
    let case = |(volume, mut indices): (String, Vec<usize>)| {
        indices.sort_unstable();
        let (patient, name) = (PatientId::of(&volume), format!("{name}/{volume}"));
        Case { name, patient, source: Source::Slices { file: file.to_owned(), indices }, is_cropped: false }
    };
    Ok(volumes.into_iter().map(case).collect())
}

/// Makes the patients of slices those of the scans that have their names in a folder, where there is exactly one: `anna` is
/// who `data/anna_ct.nii.gz` shows, so that one is not trained on while the other is held out.
pub(super) fn join_scans(cases: &mut [Case]) {
    let scans = cases.iter().filter(|case| matches!(case.source, Source::Volume { .. }));
    let scanned: BTreeSet<PatientId> = scans.map(|case| case.patient.clone()).collect();
    for case in cases.iter_mut().filter(|case| matches!(case.source, Source::Slices { .. })) {
        let name = case.patient.as_str().to_owned();
        let named: Vec<&PatientId> = scanned.iter().filter(|patient| patient.is_named(&name)).collect();
        if let [patient] = named[..] {
            case.patient = patient.clone();
        }
    }
}

/// The calibration of each slice of `file` that the table beside it names.
///
/// # Errors
/// When the table cannot be read, or neither it nor the file's name tells the calibration.
pub(crate) fn calibrations(file: &Path) -> Result<BTreeMap<usize, SliceCalibration>, DataError> {
    let table = file.with_extension("csv");
    let known = file.file_stem().and_then(|stem| KNOWN.iter().find(|(name, _)| stem == *name));
    let unknown = || DataError::Calibration { file: file.to_owned(), table: table.clone() };
    let of_row = |row: Row| {
        let calibration = row.calibration.or(known.map(|(_, calibration)| *calibration)).ok_or_else(unknown)?;
        Ok((row.index, calibration))
    };
    rows(&table)?.into_iter().map(of_row).collect()
}

/// The lines of a table with the columns `index`, `volume` or, by its LiTS number, `lits_volume`, and perhaps `slope`
/// and `intercept`.
fn rows(table: &Path) -> Result<Vec<Row>, DataError> {
    let text = std::fs::read_to_string(table).map_err(|source| DataError::Table { path: table.to_owned(), source })?;
    let bad = |line: usize| DataError::TableLine { path: table.to_owned(), line };
    let mut lines = text.lines().enumerate();
    let header: Vec<&str> = lines.next().map(|(_, header)| header.split(',').collect()).unwrap_or_default();
    let column = |name: &str| header.iter().position(|column| *column == name);
    let index = column("index").ok_or_else(|| bad(1))?;
    let volume = column("volume").or_else(|| column("lits_volume")).ok_or_else(|| bad(1))?;
    let calibration = column("slope").zip(column("intercept"));
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |column: usize| fields.get(column)?.parse().ok().filter(|number: &f32| number.is_finite());
        let calibration = match calibration {
            Some((slope, intercept)) => Some(SliceCalibration { slope: number(slope)?, intercept: number(intercept)? }),
            None => None,
        };
        Some(Row { index: fields.get(index)?.parse().ok()?, volume: volume_name(fields.get(volume)?)?, calibration })
    };
    let lines = lines.filter(|(_, line)| !line.is_empty());
    lines.map(|(number, line)| row(line).ok_or_else(|| bad(number + 1))).collect()
}

/// Name of the volume that a field of a table speaks of; `None` when it is empty or a part of it is.
fn volume_name(field: &str) -> Option<String> {
    let parts: Vec<&str> = field.split('/').collect();
    if parts.contains(&"") {
        return None;
    }
    // Where a slice may be of several volumes of LiTS, `120/121`, these are one patient, and the first names it. Any other
    // name has its folder before it, as that of a scan.
    let is_of_lits = parts.iter().all(|part| part.parse::<u32>().is_ok() || PatientId::is_known(part));
    let volume = if is_of_lits { parts[0] } else { field };
    Some(volume.parse::<u32>().map_or_else(|_| volume.to_owned(), |number| format!("lits{number:03}")))
}

/// All slices of a file: bytes and masks (1 is liver), both `[n, j, i]`.
pub(crate) fn read_slices(file: &Path) -> Result<(Array3<u8>, Array3<u8>), DataError> {
    let failed = |what: &dyn std::fmt::Display| DataError::Npz { path: file.to_owned(), problem: what.to_string() };
    let mut npz = Npz::open(file).map_err(|e| failed(&e))?;
    let mut array = |name: &str| npz.array::<u8, Ix3>(name).map_err(|e| failed(&e));
    let (image, mask) = (array("image")?, array("mask")?);
    if image.dim() != mask.dim() || image.len_of(Axis(0)) == 0 {
        return Err(failed(&format!("image has shape {:?}, mask {:?}", image.shape(), mask.shape())));
    }
    Ok((image, mask.mapv_into(|v| u8::from(v > 0))))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn slices_that_claim_to_be_more_than_the_file_holds_are_an_error_not_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.npz");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for name in ["image.npy", "mask.npy"] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&crate::npy::header("|u1", "(1000000, 1000, 1000)")).unwrap();
        }
        zip.finish().unwrap();
        let error = read_slices(&path).unwrap_err().to_string();
        assert!(error.contains("s.npz: the header claims an array of [1000000, 1000, 1000]"), "{error}");
    }

    /// The calibrations of the file `name` beside a table.
    fn calibrated(name: &str, table: &str) -> Result<BTreeMap<usize, SliceCalibration>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(file.with_extension("csv"), table).unwrap();
        calibrations(&file)
    }

    #[test]
    fn slices_belong_to_the_patient_of_their_volume() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("s.csv");
        std::fs::write(&table, "index,lits_volume,flag\n0,7,\n1,120/121/122,x\n2,11,\n3,7,\n").unwrap();
        let cases = cases("slices2d/s", &folder.path().join("s.npz"), &table).unwrap();
        let patients: Vec<&str> = cases.iter().map(|case| case.patient.as_str()).collect();
        assert_eq!(patients, ["lits006", "lits011", "lits120"]);
        let Source::Slices { indices, .. } = &cases[0].source else { panic!("{:?}", cases[0]) };
        assert_eq!(indices, &[0, 3]);
        assert_eq!(cases[1].patient, PatientId::of("lits-sparse/lits011"));
    }

    #[test]
    fn volumes_of_one_folder_are_several_patients() {
        let volumes = ["data/anna", "data/bert", "lits/lits011", "volume-8/volume-9", "7", "anna"].map(volume_name);
        let names = volumes.map(Option::unwrap);
        assert_eq!(names, ["data/anna", "data/bert", "lits/lits011", "volume-8", "lits007", "anna"]);
        assert_eq!([volume_name(""), volume_name("data/")], [None, None]);
    }

    #[test]
    fn a_table_states_the_calibration_of_each_slice() {
        let table = "index,volume,slope,intercept\n3,a,2,-1000\n4,a,0.5,10\n";
        let found = calibrated("scan-slices.npz", table).unwrap();
        assert_eq!((found[&3].hu(100), found[&4].hu(100)), (-800, 60));
        let error = calibrated("s.npz", "index,volume,slope,intercept\n3,a,2,-1000\n4,a,x,10\n").unwrap_err();
        assert!(matches!(error, DataError::TableLine { line: 3, .. }), "{error}");
    }

    #[test]
    fn without_it_the_calibration_is_known_by_the_files_name_or_asked_for() {
        let table = "index,volume,z_mm\n0,lits011,0.0\n";
        let hu = |name: &str| [0, 255].map(|stored| calibrated(name, table).unwrap()[&0].hu(stored));
        assert_eq!(hu("scan-slices.npz"), [-160, 240]);
        assert_eq!(hu("liver-slices.npz"), [0, 255]);
        let error = calibrated("other.npz", table).unwrap_err().to_string();
        assert!(error.contains("other.npz") && error.contains("slope and intercept to"), "{error}");
        assert!(error.contains("other.csv"), "{error}");
    }
}
