//! A compact copy of a data set, to be carried to another machine or read faster.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use hepar_formats::{GridHeader, WriteError, has_unit_grid, write_atomically, write_labels, write_scan};
use hepar_model::stage::Grid;
use hepar_volume::{Margin, Reach, Volume, VoxelBox, resize_mean};
use rayon::prelude::*;

use crate::dataset::{CROPPED_MARK, Case, Source};
use crate::error::DataError;
use crate::prepare::{read_canonical, resized_labels};

/// What the file beside a copy says by which it is known to be cropped.
const CROPPED_TEXT: &str = "hepar data pack kept what is around the liver. No localizer is trained on this scan.\n";

/// What is kept of a scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Packing {
    /// Distance of voxel centres in millimetres, `[k, j, i]`; along an axis on which a scan is coarser it stays as it is.
    pub spacing: [f64; 3],
    /// What is kept around the liver, in millimetres.
    pub margin_mm: f64,
    /// Hounsfield units are clipped to this range …
    pub range: [i16; 2],
    /// … and rounded to multiples of this, which is what makes them compact; at least 1.
    pub step: i16,
}

/// What became of the scans that were to be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Scans that have a copy now.
    pub scans: usize,
    /// Scans that have none because nobody filled in their header: voxels of exactly 1 mm, the first at the origin.
    pub unit_grids: usize,
}

/// Why a case was not packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The case cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The copy cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A copy would take the place of a file, which may be what is packed.
    #[error("write {}: it is there already; pack into a folder that has no file of this name", .0.display())]
    Taken(PathBuf),
    /// Cases of two folders of one name would become one file.
    #[error("write {}: two cases would become this file; rename a folder, or pack one after the other", .0.display())]
    Twice(PathBuf),
    /// A folder cannot be made.
    #[error("make the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file that says that a copy is cropped cannot be written.
    #[error("write {}: {source}", path.display())]
    Mark {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Packing {
    /// What training on grids of 2.5 × 1 × 1 mm and coarser sees.
    pub const STANDARD: Self = Self { spacing: [2.5, 1.0, 1.0], margin_mm: 40.0, range: [-160, 240], step: 4 };

    /// Writes the scans among `cases` as `CASE_ct.nii.gz` and `CASE_label.nii.gz` into `folder`, below the folder that
    /// the case is named after, in canonical orientation; how many there were. Single slices are left out, and so are
    /// scans whose header nobody filled in: a copy would state sizes of its own, and nothing would tell that they are
    /// false. `CASE_cropped.txt` beside a copy keeps it from the localizer, which sees whole slices.
    ///
    /// Hounsfield units of coarser voxels are means of those they cover, and labels what at least half of these are.
    ///
    /// No file is overwritten.
    ///
    /// # Errors
    /// When a case cannot be read or has no liver, or a copy cannot be written; before anything is, when a header cannot
    /// be read, or a file or another copy is in its way.
    pub fn write(&self, cases: &[Case], folder: &Path) -> Result<Packed, PackError> {
        let (mut wanted, mut unit_grids) = (Vec::new(), 0);
        for case in cases {
            let Source::Volume { image, labels } = &case.source else { continue };
            if has_unit_grid(image).map_err(DataError::from)? {
                unit_grids += 1;
            } else {
                wanted.push((case, image, labels));
            }
        }
        let mut planned = BTreeSet::new();
        for path in wanted.iter().flat_map(|(case, ..)| copies(case, folder)) {
            if path.exists() {
                return Err(PackError::Taken(path));
            }
            if !planned.insert(path.clone()) {
                return Err(PackError::Twice(path));
            }
        }
        wanted.par_iter().try_for_each(|(case, image, labels)| self.write_case(case, image, labels, folder))?;
        Ok(Packed { scans: wanted.len(), unit_grids })
    }

    fn write_case(&self, case: &Case, image: &Path, labels: &Path, folder: &Path) -> Result<(), PackError> {
        let (scan, truth) = read_canonical(image, labels)?;
        let liver = VoxelBox::around(truth.data(), |&label| label >= 1);
        let liver = liver.ok_or_else(|| DataError::NoLiver(labels.to_owned()))?;
        let kept = liver.padded(Margin([Reach::Millimetres(self.margin_mm); 3]), scan.geometry());
        let (scan, truth) = (scan.crop(&kept), truth.crop(&kept));
        let own = scan.geometry().spacing();
        let mm = std::array::from_fn(|axis| self.spacing[axis].max(own[axis]));
        let shape = Grid::Spacing { mm }.shape(scan.shape(), own);
        // At least one voxel along each axis, and as many values as the grid has.
        let grid = scan.geometry().resized(shape).unwrap_or_else(|error| unreachable!("{error}"));
        let hu = resize_mean(scan.data(), shape).mapv(|hu| self.rounded(hu));
        let hu = Volume::new(hu, grid.clone()).unwrap_or_else(|error| unreachable!("{error}"));
        let truth = Volume::new(resized_labels(truth.data(), shape), grid.clone());
        let truth = truth.unwrap_or_else(|error| unreachable!("{error}"));
        let [ct, label, mark] = copies(case, folder);
        let below = ct.parent().unwrap_or(folder);
        fs::create_dir_all(below).map_err(|source| PackError::Folder { path: below.to_owned(), source })?;
        // First, so that no copy is ever without it.
        let marked = write_atomically(&mark, |file| file.write_all(CROPPED_TEXT.as_bytes()));
        marked.map_err(|source| PackError::Mark { path: mark, source })?;
        let header = GridHeader::from_geometry(&grid);
        write_scan(&ct, &hu, &header)?;
        Ok(write_labels(&label, &truth, &header)?)
    }

    fn rounded(&self, hu: f32) -> i16 {
        let [low, high] = self.range.map(f32::from);
        let step = f32::from(self.step.max(1));
        ((hu.clamp(low, high) / step).round() * step) as i16
    }
}

impl std::fmt::Display for Packed {
    /// As in `17 scans; left out: 20 whose header states no size of voxels (1 mm, at the origin)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} scans", self.scans)?;
        match self.unit_grids {
            0 => Ok(()),
            count => write!(f, "; left out: {count} whose header states no size of voxels (1 mm, at the origin)"),
        }
    }
}

/// The files that a scan and its labels become, and the one that says that they are cropped.
fn copies(case: &Case, folder: &Path) -> [PathBuf; 3] {
    ["_ct.nii.gz", "_label.nii.gz", CROPPED_MARK].map(|ending| folder.join(format!("{}{ending}", case.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainConfig;
    use crate::dataset::{PatientId, discover};
    use crate::split::Split;
    use hepar_model::stage::StageName;
    use hepar_volume::Geometry;

    #[test]
    fn a_packed_case_is_found_again_coarser_and_in_steps() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("lits");
        fs::create_dir(&from).unwrap();
        let grid = Geometry::axis_aligned([50, 60, 60], [1.0, 0.5, 2.0]).unwrap();
        let scan = Volume::from_fn(grid.clone(), |[k, j, i]| (k * 3 + j * 5 + i) as i16 - 300);
        let labels =
            Volume::from_fn(grid.clone(), |[k, j, i]| u8::from([k, j, i].iter().all(|at| (20..40).contains(at))));
        let header = GridHeader::from_geometry(&grid);
        write_scan(&from.join("a_ct.nii.gz"), &scan, &header).unwrap();
        write_labels(&from.join("a_label.nii.gz"), &labels, &header).unwrap();
        let cases = discover(&[folder.path().to_owned()]).unwrap();
        let to = folder.path().join("packed");
        let packing = Packing { margin_mm: 5.0, ..Packing::STANDARD };
        assert_eq!(packing.write(&cases, &to).unwrap().to_string(), "1 scans");
        let (image, truth) = (to.join("lits/a_ct.nii.gz"), to.join("lits/a_label.nii.gz"));
        let (scan, labels) = read_canonical(&image, &truth).unwrap();
        // 30 slices of 1 mm, 40 rows of 0.5 mm, and columns that were wider than asked for.
        assert_eq!(scan.shape(), [12, 20, 26]);
        assert!(scan.data().iter().all(|hu| hu % 4 == 0 && (-160..=240).contains(hu)));
        let volume =
            labels.data().iter().filter(|&&label| label == 1).count() as f64 * labels.geometry().voxel_volume();
        assert!((volume - 20.0 * 10.0 * 40.0).abs() < 500.0, "{volume}");
        let [case] = &cases[..] else { panic!("one case") };
        let twice = packing.write(&[case.clone(), case.clone()], &folder.path().join("new")).unwrap_err();
        assert!(matches!(&twice, PackError::Twice(path) if path.ends_with("lits/a_ct.nii.gz")), "{twice}");
        // Beside `lits` the copies would be the originals.
        let error = packing.write(&cases, folder.path()).unwrap_err();
        assert!(matches!(&error, PackError::Taken(path) if path.ends_with("lits/a_ct.nii.gz")), "{error}");
        assert_eq!(
            read_canonical(&from.join("a_ct.nii.gz"), &from.join("a_label.nii.gz")).unwrap().0.shape(),
            [50, 60, 60]
        );
    }

    /// Writes a scan with voxels of `spacing` mm and its labels, both named below `root`.
    fn write_pair(root: &Path, [scan_name, labels_name]: [&str; 2], spacing: f64) {
        let grid = Geometry::axis_aligned([8, 9, 10], [spacing; 3]).unwrap();
        let (scan, labels) = (Volume::from_fn(grid.clone(), |_| 50_i16), Volume::from_fn(grid.clone(), |_| 1_u8));
        let header = GridHeader::from_geometry(&grid);
        for name in [scan_name, labels_name] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        }
        write_scan(&root.join(scan_name), &scan, &header).unwrap();
        write_labels(&root.join(labels_name), &labels, &header).unwrap();
    }

    #[test]
    fn a_packed_case_is_found_as_one_scan_of_the_same_patient_in_every_layout() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("imagesTr"));
        for names in [
            ["volume-3.nii.gz", "segmentation-3.nii.gz"],
            ["volume-46.nii", "segmentation-46.nii"],
            ["imagesTr/liver_7.nii.gz", "labelsTr/liver_7.nii.gz"],
            ["P001/portal_ct.nii.gz", "P001/portal_label.nii.gz"],
        ] {
            write_pair(&from, names, 2.0);
        }
        let patients = |root: &Path| -> BTreeSet<_> {
            discover(&[root.to_owned()]).unwrap().into_iter().map(|case| case.patient).collect()
        };
        let cases = discover(std::slice::from_ref(&from)).unwrap();
        assert_eq!(Packing::STANDARD.write(&cases, &to).unwrap(), Packed { scans: 4, unit_grids: 0 });
        assert_eq!(discover(std::slice::from_ref(&to)).unwrap().len(), 4);
        assert_eq!(patients(&to), patients(&from));
        assert!(patients(&to).contains(&PatientId::kept_for_tests()));
    }

    #[test]
    fn a_copy_of_a_case_whose_name_says_nothing_is_the_same_patient_as_the_original() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("packed"));
        let write = |path: PathBuf| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        let files = ["anna/PATIENT_DICOM/1", "anna/MASKS_DICOM/liver/1", "volume-200.nii", "segmentation-200.nii"];
        files.iter().for_each(|file| write(from.join(file)));
        let cases = discover(&[from]).unwrap();
        cases.iter().flat_map(|case| copies(case, &to)).for_each(write);
        let patients = |cases: &[Case]| -> Vec<String> { cases.iter().map(|case| case.patient.to_string()).collect() };
        assert_eq!(patients(&cases), ["from/anna", "from/volume-200"]);
        assert_eq!(patients(&discover(&[to]).unwrap()), patients(&cases));
    }

    #[test]
    fn the_localizer_is_trained_on_no_packed_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        write_pair(&from, ["data/anna_ct.nii.gz", "data/anna_label.nii.gz"], 2.0);
        let cases = discover(&[from]).unwrap();
        Packing::STANDARD.write(&cases, &to).unwrap();
        let packed = discover(&[to]).unwrap();
        let split = |cases: &[Case], stage| Split::new(cases, &TrainConfig::preset(stage));
        assert_eq!(split(&cases, StageName::Localizer).unwrap().training, cases);
        let error = split(&packed, StageName::Localizer).unwrap_err().to_string();
        assert!(error.contains("1 cropped in plane"), "{error}");
        assert_eq!(split(&packed, StageName::Tumour).unwrap().training, packed);
    }

    #[test]
    fn a_scan_whose_header_nobody_filled_in_is_not_packed() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        write_pair(&from, ["volume-28.nii.gz", "segmentation-28.nii.gz"], 1.0);
        write_pair(&from, ["volume-1.nii.gz", "segmentation-1.nii.gz"], 2.0);
        let packed = Packing::STANDARD.write(&discover(&[from]).unwrap(), &to).unwrap();
        assert_eq!(packed, Packed { scans: 1, unit_grids: 1 });
        assert!(packed.to_string().starts_with("1 scans; left out: 1 whose header states no size"), "{packed}");
        let names: Vec<_> = discover(&[to]).unwrap().into_iter().map(|case| case.name).collect();
        assert_eq!(names, ["to/volume-1"]);
    }
}
