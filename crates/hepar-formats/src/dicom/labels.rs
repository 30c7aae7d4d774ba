//! Labels in DICOM objects: segmentations, structure sets, and the masks of 3D-IRCADb.

use std::path::Path;

use hepar_volume::Volume;

use crate::dicom::catalogue::Catalogue;
use crate::dicom::error::DicomError;
use crate::dicom::ircad;
use crate::dicom::object::{Attributes, Object};
use crate::dicom::place::Place;
use crate::dicom::read::slices_of_series;
use crate::dicom::segmentation_read::{self, is_segmentation};
use crate::dicom::slices::Slices;
use crate::dicom::structures_read::{self, is_structure_set};
use crate::error::ReadErrorKind;
use crate::grid::GridHeader;
use crate::image::{LabelOptions, Labels, Like};
use crate::warning::Warning;

const WANTED: &str = "a segmentation or a structure set";

/// Reads labels from an object, or from a folder or an archive that holds one object with labels.
///
/// They are put on a grid or on a scan when it is given. Contours, which have no grid, are otherwise put on that of
/// their series, if it lies in the same folder.
pub(crate) fn labels(path: &Path, options: &LabelOptions<'_>) -> Result<Labels, ReadErrorKind> {
    if let Some(patient) = ircad::Patient::at(path) {
        return Ok(with_grid(patient.labels(options.cysts_are_tumours)?));
    }
    let (place, object) = match path.is_dir() || crate::dicom::catalogue::is_archive(path)? {
        true => the_only_one(path)?,
        false => {
            let place = Place::File(path.to_owned());
            let object = Object::read(&place)?;
            (place, object)
        }
    };
    let class = object.data.text(dicom_dictionary_std::tags::SOP_CLASS_UID).unwrap_or_default();
    let slices = options.like.and_then(Like::slices);
    if is_segmentation(&class) {
        let grid = options.like.map(Like::grid);
        return Ok(with_grid(segmentation_read::read(&place, &object, grid, slices.as_ref())?));
    }
    if is_structure_set(&class) {
        let read = match options.like {
            Some(like) => structures_read::read(&object, like.grid(), slices.as_ref())?,
            None => {
                let slices = slices_beside(path, &object)?;
                structures_read::read(&object, &slices.geometry, Some(&slices))?
            }
        };
        return Ok(with_grid(read));
    }
    let modality = object.data.text(dicom_dictionary_std::tags::MODALITY).unwrap_or_else(|| "something".to_owned());
    Err(DicomError::OtherObject { what: format!("{modality} (class {class})"), wanted: WANTED }.into())
}

fn with_grid((volume, warnings): (Volume<u8>, Vec<Warning>)) -> Labels {
    let grid = GridHeader::from_geometry(volume.geometry());
    Labels { volume, grid, warnings }
}

/// The object with labels in a folder or an archive.
fn the_only_one(path: &Path) -> Result<(Place, Object), DicomError> {
    let catalogue = Catalogue::read(path)?;
    let has_labels = |class: &str| is_segmentation(class) || is_structure_set(class);
    let mut found = catalogue.instances.iter().filter(|instance| has_labels(&instance.sop_class));
    let what = |what: &str| DicomError::OtherObject { what: what.to_owned(), wanted: WANTED };
    let Some(first) = found.next() else { return Err(what("a folder without labels")) };
    if found.next().is_some() {
        return Err(what("a folder with several segmentations or structure sets, of which one must be named"));
    }
    Ok((first.place.clone(), Object::read(&first.place)?))
}

/// Grid and slices of the series that contours were made on, in the folder of the structure set or, when it is a folder
/// or an archive, in it.
fn slices_beside(path: &Path, object: &Object) -> Result<Slices, DicomError> {
    let series = structures_read::series_of(object).ok_or(DicomError::NoGrid)?;
    let here = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let here = if here.as_os_str().is_empty() { Path::new(".") } else { here };
    let archive = !path.is_dir() && crate::dicom::catalogue::is_archive(path)?;
    slices_of_series(if archive { path } else { here }, &series).map_err(|_| DicomError::NoGrid)
}
