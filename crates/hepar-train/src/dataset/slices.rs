//! Single axial slices in `.npz` files.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{Array3, Axis};
use ndarray_npy::NpzReader;

use super::{Case, PatientId, Source};
use crate::error::DataError;

/// How stored bytes become Hounsfield units: `slope · stored + intercept`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SliceCalibration {
    /// Hounsfield units in one step of a byte.
    pub slope: f32,
    /// Hounsfield units of 0.
    pub intercept: f32,
}

impl SliceCalibration {
    /// The calibration of a file, by the columns of its table: slices of whole scans are known by their position
    /// `z_mm` and were clipped to −160..240 HU, others hold 0..255 HU.
    fn of(header: &[&str]) -> Self {
        match header.contains(&"z_mm") {
            true => Self { slope: 400.0 / 255.0, intercept: -160.0 },
            false => Self { slope: 1.0, intercept: 0.0 },
        }
    }

    /// The calibration of the file that the table beside `file` describes.
    pub(crate) fn read(file: &Path) -> Result<Self, DataError> {
        let table = file.with_extension("csv");
        let text = std::fs::read_to_string(&table).map_err(|source| DataError::Table { path: table, source })?;
        Ok(Self::of(&text.lines().next().unwrap_or_default().split(',').collect::<Vec<_>>()))
    }
}

/// One case for each volume that the table names, in the column `volume` or, by its LiTS number, `lits_volume`.
pub(super) fn cases(name: &str, file: &Path, table: &Path) -> Result<Vec<Case>, DataError> {
    let text = std::fs::read_to_string(table).map_err(|source| DataError::Table { path: table.to_owned(), source })?;
    let bad = |line: usize| DataError::TableLine { path: table.to_owned(), line };
    let mut lines = text.lines().enumerate();
    let (_, header) = lines.next().ok_or_else(|| bad(0))?;
    let header: Vec<&str> = header.split(',').collect();
    let column = |name: &str| header.iter().position(|column| *column == name);
    let index_column = column("index").ok_or_else(|| bad(1))?;
    let volume_column = column("volume").or_else(|| column("lits_volume")).ok_or_else(|| bad(1))?;
    let mut volumes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let fields: Vec<&str> = line.split(',').collect();
        let index = fields.get(index_column).and_then(|field| field.parse().ok()).ok_or_else(|| bad(number + 1))?;
        // Where a slice may be of several volumes, `120/121`, these are one patient, and the first names it.
        let volume = fields.get(volume_column).and_then(|field| field.split('/').next());
        let volume = volume.filter(|volume| !volume.is_empty()).ok_or_else(|| bad(number + 1))?;
        let volume = volume.parse::<u32>().map_or_else(|_| volume.to_owned(), |n| format!("lits{n:03}"));
        volumes.entry(volume).or_default().push(index);
    }
    let case = |(volume, mut indices): (String, Vec<usize>)| {
        indices.sort_unstable();
        let (patient, name) = (PatientId::of(&volume), format!("{name}/{volume}"));
        Case { name, patient, source: Source::Slices { file: file.to_owned(), indices } }
    };
    Ok(volumes.into_iter().map(case).collect())
}

/// All slices of a file: bytes and masks (1 is liver), both `[n, j, i]`.
pub(crate) fn read_slices(file: &Path) -> Result<(Array3<u8>, Array3<u8>), DataError> {
    let failed = |what: &dyn std::fmt::Display| DataError::Npz { path: file.to_owned(), problem: what.to_string() };
    let opened = std::fs::File::open(file).map_err(|e| failed(&e))?;
    let mut npz = NpzReader::new(opened).map_err(|e| failed(&e))?;
    let mut array = |name: &str| npz.by_name::<ndarray::OwnedRepr<u8>, ndarray::Ix3>(name).map_err(|e| failed(&e));
    let (image, mask) = (array("image")?, array("mask")?);
    if image.dim() != mask.dim() || image.len_of(Axis(0)) == 0 {
        return Err(failed(&format!("image has shape {:?}, mask {:?}", image.shape(), mask.shape())));
    }
    Ok((image, mask.mapv_into(|v| u8::from(v > 0))))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_columns_tell_the_calibration() {
        assert_eq!(SliceCalibration::of(&["index", "volume", "z_mm"]).intercept, -160.0);
        assert_eq!(SliceCalibration::of(&["index", "lits_volume", "z_3mm"]).slope, 1.0);
    }
}
