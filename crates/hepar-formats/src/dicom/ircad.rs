//! A patient of 3D-IRCADb as the data set comes: the CT in `PATIENT_DICOM`, for each structure a series of masks in
//! `MASKS_DICOM/NAME`; both as folders, or as the archives `PATIENT_DICOM.zip` and `MASKS_DICOM.zip`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hepar_volume::Volume;
use rayon::prelude::*;

use crate::dicom::codec::FrameShape;
use crate::dicom::error::DicomError;
use crate::dicom::instance::Instance;
use crate::dicom::pixels::PixelReader;
use crate::dicom::place::{Place, files_in_archive, files_in_folder};
use crate::dicom::read::grid;
use crate::dicom::segmentation_read::beyond;
use crate::dicom::steps::Steps;
use crate::image::ScanOptions;
use crate::segments::Meaning;
use crate::warning::Warning;

/// Where the data of a patient are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patient {
    /// Folder or archive of the CT.
    pub(crate) scan: PathBuf,
    masks: PathBuf,
}

impl Patient {
    /// The patient in a folder; `None` when it is laid out otherwise.
    pub(crate) fn at(folder: &Path) -> Option<Self> {
        let find = |name: &str| {
            let (open, zip) = (folder.join(name), folder.join(format!("{name}.zip")));
            if open.is_dir() { Some(open) } else { zip.is_file().then_some(zip) }
        };
        Some(Self { scan: find("PATIENT_DICOM")?, masks: find("MASKS_DICOM")? })
    }

    /// The liver (1) with all of its tumours (2) on the grid of the CT; cysts are liver unless they are to be tumours.
    ///
    /// # Errors
    /// When there is no mask of the liver, or a mask does not lie on the voxels of the CT.
    pub(crate) fn labels(&self, cysts_are_tumours: bool) -> Result<(Volume<u8>, Vec<Warning>), DicomError> {
        let places = match self.masks.is_dir() {
            true => files_in_folder(&self.masks)?,
            false => files_in_archive(&self.masks)?,
        };
        let mut by_name: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        for place in places {
            by_name.entry(structure(&place)).or_default().push(place);
        }
        let mut volume = Volume::filled(grid(&self.scan, &ScanOptions::default())?, 0u8);
        let of_name =
            |name: &str| meaning(name).or_else(|| (cysts_are_tumours && is_cyst(name)).then_some(Meaning::Tumour));
        let wanted: Vec<(Meaning, &Vec<Place>)> =
            by_name.iter().filter_map(|(name, places)| Some((of_name(name)?, places))).collect();
        if !wanted.iter().any(|(meaning, _)| *meaning == Meaning::Liver) {
            let what = format!("{} without a mask of the liver", self.masks.display());
            return Err(DicomError::OtherObject { what, wanted: "MASKS_DICOM/liver" });
        }
        for (meaning, places) in wanted {
            let masks: Vec<(Steps, Vec<u8>, [usize; 2])> = places
                .par_iter()
                .map(|place| mask(place, &volume).map_err(|error| error.of_file(place)))
                .collect::<Result<_, _>>()?;
            for (steps, samples, [_, columns]) in masks {
                let shape = volume.shape();
                let mut data = volume.data_mut();
                for at in (0..samples.len()).filter(|at| samples[*at] > 0) {
                    let index = steps.index(at / columns, at % columns, shape).ok_or_else(beyond)?;
                    data[index] = data[index].max(meaning.label());
                }
            }
        }
        Ok((volume, Vec::new()))
    }
}

/// The name of the folder that a mask is in, in lower case.
fn structure(place: &Place) -> String {
    let path = place.to_string();
    Path::new(&path).parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().to_lowercase()
}

/// `liver` and `livertumor`, `livertumors`, `livertumor01` and so on; `None` for what is neither, `liverkyst` and
/// `livercyst` among them.
fn meaning(name: &str) -> Option<Meaning> {
    if name == "liver" {
        return Some(Meaning::Liver);
    }
    (name.starts_with("livertumor") || name.starts_with("livertumour")).then_some(Meaning::Tumour)
}

/// `livercyst`, `livercysts`, `liverkyst`, `liverkyste` and so on.
fn is_cyst(name: &str) -> bool {
    name.starts_with("livercyst") || name.starts_with("liverkyst")
}

/// Where a slice of a mask lies in the volume, and its bytes.
fn mask(place: &Place, volume: &Volume<u8>) -> Result<(Steps, Vec<u8>, [usize; 2]), DicomError> {
    let instance = Instance::read(place)?;
    let what = |what: &str| DicomError::OtherObject { what: what.to_owned(), wanted: "a slice of a mask" };
    let image = instance.image.ok_or_else(|| what("no image"))?;
    let [Some(frame)] = image.frames[..] else { return Err(what("an image that does not say where it lies")) };
    let size = [image.rows, image.columns];
    let steps = Steps::of(volume.geometry(), &frame.plane, size)?;
    let bytes = usize::from(image.samples.allocated / 8).max(1);
    let shape = FrameShape { rows: image.rows, columns: image.columns, bytes };
    let samples = PixelReader::new(place, &image.syntax, image.pixels, shape, 1)?.frame(0)?;
    let inside = samples.chunks_exact(bytes).map(|sample| u8::from(sample.iter().any(|byte| *byte != 0)));
    Ok((steps, inside.collect(), size))
}
