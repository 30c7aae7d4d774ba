//! Prepared cases on disk, so that a training that begins again does not make them again.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use hepar_formats::write_atomically;
use hepar_model::bundle::sha256;
use hepar_model::stage::StageName;
use hepar_volume::VoxelBox;
use ndarray::{Array1, Array3, Ix1, Ix3};
use ndarray_npy::{NpzWriter, WriteNpzError};

use super::{LiverFacts, Prepared, Voxels};
use crate::config::TrainConfig;
use crate::dataset::{Case, PatientId, Source};
use crate::npy::{NpyError, Npz};

/// Version of what is prepared, phantoms among it, and how it is stored; it grows when either changes.
const VERSION: u32 = 4;

/// A folder with prepared cases, compressed, each in a file that is named after what it depends on.
///
/// Kept are cases of two files, scan and labels, that are trained on, and phantoms. A file that cannot be read is made
/// again. Nothing is ever removed: the folder may be emptied at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When the system refuses to make it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The prepared case of a `name` and a `patient`, from its file, or else made by `make` and put there, if there is
    /// room; `what` tells what it is made of.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn get_or_make<E>(
        &self,
        what: &str,
        (name, patient): (&str, &PatientId),
        config: &TrainConfig,
        make: impl FnOnce() -> Result<Option<Prepared>, E>,
    ) -> Result<Option<Prepared>, E> {
        let path = self.file(what, config);
        if let Some(prepared) = read(&path, name, patient, config) {
            return Ok(Some(prepared));
        }
        let made = make()?;
        if let Some(prepared) = &made {
            // A full disk is no reason not to train.
            let _ = write(&path, prepared);
        }
        Ok(made)
    }

    /// Where a case that is made of `what` is kept.
    fn file(&self, what: &str, config: &TrainConfig) -> PathBuf {
        let TrainConfig { stage, grid, margin, .. } = config;
        let version = env!("CARGO_PKG_VERSION");
        let text = format!("{version} {VERSION}\n{stage}\n{grid:?}\n{margin:?}\n{what}");
        self.folder.join(format!("{}.npz", &sha256(text.as_bytes())[..32]))
    }
}

/// What a case is made of: which two files, as they are now; `None` for what is no pair of files.
pub(super) fn files_of(case: &Case) -> Option<String> {
    let Source::Volume { image, labels } = &case.source else { return None };
    Some(format!("{}\n{}", stamp(image)?, stamp(labels)?))
}

/// What changes when a file does: its path, its length and when it was written; `None` for what is no file.
fn stamp(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let written = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{}\n{}\n{}", path.display(), metadata.len(), written.as_nanos()))
}

fn write(path: &Path, prepared: &Prepared) -> io::Result<()> {
    let failed = |error: WriteNpzError| io::Error::other(error);
    let voxels = prepared.voxels.all().map_err(io::Error::other)?;
    write_atomically(path, |file| {
        let mut npz = NpzWriter::new_compressed(file);
        npz.add_array("hu", &voxels.hu).map_err(failed)?;
        npz.add_array("labels", &voxels.labels).map_err(failed)?;
        npz.add_array("spacing", &Array1::from(prepared.spacing.to_vec())).map_err(failed)?;
        if let Some(LiverFacts { region, .. }) = &prepared.liver {
            let corners = [region.start(), region.end()].concat();
            let corners: Array1<u64> = corners.into_iter().map(|index| index as u64).collect();
            npz.add_array("region", &corners).map_err(failed)?;
        }
        npz.finish().map(drop).map_err(failed)
    })
}

/// The prepared case in a file; `None` when there is none that can be read whole.
fn read(path: &Path, name: &str, patient: &PatientId, config: &TrainConfig) -> Option<Prepared> {
    let mut npz = Npz::open(path).ok()?;
    let (hu, labels, spacing) = arrays(&mut npz).ok()?;
    let spacing = spacing.to_vec().try_into().ok()?;
    if hu.dim() != labels.dim() {
        return None;
    }
    let liver = match config.stage {
        StageName::Localizer => None,
        StageName::Liver | StageName::Tumour => {
            let corners = npz.array::<u64, Ix1>("region").ok()?.mapv(|index| index as usize).to_vec();
            let [k0, j0, i0, k1, j1, i1] = corners.try_into().ok()?;
            let region = VoxelBox::new([k0, j0, i0], [k1, j1, i1])?;
            let shape = [hu.dim().0, hu.dim().1, hu.dim().2];
            if (0..3).any(|axis| region.end()[axis] > shape[axis]) {
                return None;
            }
            Some(LiverFacts { region, ..LiverFacts::of(hu.view(), labels.view(), spacing, config)? })
        }
    };
    let (name, patient, origin) = (name.to_owned(), patient.clone(), "scans".to_owned());
    Some(Prepared { name, patient, origin, voxels: Voxels::new(hu, labels), spacing, liver })
}

/// Hounsfield units, labels and spacing.
type Arrays = (Array3<i16>, Array3<u8>, Array1<f64>);

fn arrays(npz: &mut Npz) -> Result<Arrays, NpyError> {
    Ok((npz.array::<i16, Ix3>("hu")?, npz.array::<u8, Ix3>("labels")?, npz.array::<f64, Ix1>("spacing")?))
}

#[cfg(test)]
mod tests {
    use super::super::tests::case_with_liver;
    use super::super::{Material, Storage, volume_case};
    use super::*;
    use crate::error::DataError;

    #[test]
    fn a_cached_scan_is_the_one_that_was_prepared_and_a_damaged_file_is_made_again() {
        let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let case = case_with_liver(data.path());
        for stage in StageName::ALL {
            let config = TrainConfig { phantoms: 0, phantom_share: 0.0, ..TrainConfig::preset(stage) };
            let cache = Cache::open(&folder.path().join("cache")).unwrap();
            let fresh = volume_case(&case, &config).unwrap();
            let (files, of) = (files_of(&case).unwrap(), (case.name.as_str(), &case.patient));
            let first = cache.get_or_make(&files, of, &config, || volume_case(&case, &config)).unwrap();
            let never = || -> Result<_, DataError> { panic!("{stage}: it is in the cache") };
            let second = cache.get_or_make(&files, of, &config, never).unwrap();
            assert!(fresh.is_some() && first == fresh && second == fresh, "{stage}");
            let whole =
                Material::prepare(std::slice::from_ref(&case), &config, Some(&cache), &Storage::memory(), &|| false)
                    .unwrap()
                    .unwrap();
            assert_eq!(whole.real, [fresh.clone().unwrap()]);
            let file = cache.file(&files, &config);
            std::fs::write(&file, &std::fs::read(&file).unwrap()[..100]).unwrap();
            assert_eq!(cache.get_or_make(&files, of, &config, || volume_case(&case, &config)).unwrap(), fresh);
        }
        assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 3);
    }

    #[test]
    fn another_grid_or_another_file_is_another_entry() {
        let data = tempfile::tempdir().unwrap();
        let case = case_with_liver(data.path());
        let cache = Cache::open(data.path()).unwrap();
        let config = TrainConfig::preset(StageName::Liver);
        let files = files_of(&case).unwrap();
        let file = cache.file(&files, &config);
        let other = TrainConfig { grid: hepar_model::stage::Grid::Native, ..config.clone() };
        assert_ne!(cache.file(&files, &other), file);
        assert_eq!(cache.file(&files, &TrainConfig { seed: 9, steps: 3, ..config.clone() }), file);
        let Source::Volume { image, .. } = &case.source else { unreachable!() };
        std::fs::write(image, "something else").unwrap();
        assert_ne!(files_of(&case).unwrap(), files);
    }

    #[test]
    fn phantoms_are_kept_too() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let smoke = TrainConfig { phantoms: 1, ..TrainConfig::smoke(StageName::Tumour) };
        let prepare = |cache| Material::prepare(&[], &smoke, cache, &Storage::memory(), &|| false).unwrap().unwrap();
        let material = || prepare(Some(&cache));
        let first = material();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(material(), first);
        assert_eq!(prepare(None), first);
    }
}
