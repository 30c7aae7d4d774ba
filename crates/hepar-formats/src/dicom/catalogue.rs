//! All objects of a file, a folder or an archive, and the series that they make.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::path::Path;

use rayon::prelude::*;

use crate::dicom::compose::derived_uid;
use crate::dicom::error::DicomError;
use crate::dicom::instance::{Frame, Instance};
use crate::dicom::place::{Place, files_in_archive, files_in_folder};
use crate::dicom::plane::Plane;
use crate::dicom::stack::{at_one_place, overlap};
use crate::sniff;
use crate::warning::Warning;

/// What is in a file, a folder or an archive.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    pub(crate) instances: Vec<Instance>,
    /// By number and UID.
    pub(crate) series: Vec<Series>,
    pub(crate) warnings: Vec<Warning>,
}

/// Slices that belong together: one series UID, orientation and matrix, and one acquisition where a series holds
/// several of the same part of the body.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// `SeriesInstanceUID`, or, where it was taken out, one that follows from the instances.
    pub(crate) uid: String,
    /// In the order of their files.
    pub(crate) slices: Vec<SliceOf>,
    /// Indices of all instances; of series without slices too.
    pub(crate) instances: Vec<usize>,
    /// What tells it from others of the same UID.
    pub(crate) part: Option<String>,
    /// How many slices are there again by their UIDs and positions. Whether they show the same, their pixels say.
    pub(crate) copies: usize,
}

/// A slice: a frame of an instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SliceOf {
    /// Index of the instance.
    pub(crate) instance: usize,
    /// Number of the frame from 0.
    pub(crate) frame: u32,
    pub(crate) it: Frame,
}

impl Catalogue {
    /// Reads the headers of all objects.
    ///
    /// # Errors
    /// When there is none, or the folder or archive cannot be read, or `path` is a file that is no sound object.
    pub(crate) fn read(path: &Path) -> Result<Self, DicomError> {
        if path.is_dir() {
            return Self::of_places(files_in_folder(path)?);
        }
        if is_archive(path)? {
            return Self::of_places(files_in_archive(path)?);
        }
        let place = Place::File(path.to_owned());
        Ok(Self::of_instances(vec![Instance::read(&place)?], Vec::new()))
    }

    fn of_places(places: Vec<Place>) -> Result<Self, DicomError> {
        let files = places.len();
        let read: Vec<(Place, Result<Instance, DicomError>)> = places
            .into_par_iter()
            .map(|place| {
                let instance = Instance::read(&place);
                (place, instance)
            })
            .collect();
        let (mut instances, mut damaged) = (Vec::new(), Vec::new());
        for (place, instance) in read {
            match instance {
                Ok(instance) => instances.push(instance),
                // Pictures, programs and indices of a CD.
                Err(DicomError::NotDicom) => {}
                Err(error) => damaged.push(error.of_file(place)),
            }
        }
        if instances.is_empty() {
            return Err(damaged.into_iter().next().unwrap_or(DicomError::NoFiles { files }));
        }
        let warnings = damaged.iter().map(|error| Warning::FileSkipped { problem: error.to_string() }).collect();
        Ok(Self::of_instances(instances, warnings))
    }

    fn of_instances(instances: Vec<Instance>, warnings: Vec<Warning>) -> Self {
        let mut by_uid: BTreeMap<(i64, &str), Vec<usize>> = BTreeMap::new();
        for (index, instance) in instances.iter().enumerate() {
            by_uid.entry((instance.number.unwrap_or(i64::MAX), &instance.series_uid)).or_default().push(index);
        }
        let of_uid = |((number, uid), indices): ((i64, &str), Vec<usize>)| {
            let uid = if uid.is_empty() { uid_of(&instances, number, &indices) } else { uid.to_owned() };
            split(&instances, &uid, indices)
        };
        let series = by_uid.into_iter().flat_map(of_uid).collect();
        Self { instances, series, warnings }
    }

    /// The first instance of a series.
    pub(crate) fn first(&self, series: &Series) -> &Instance {
        &self.instances[series.instances[0]]
    }
}

impl Series {
    /// Planes of all slices.
    pub(crate) fn planes(&self) -> Vec<Plane> {
        planes(&self.slices)
    }

    /// Rows and columns; `None` without slices.
    pub(crate) fn matrix(&self, catalogue: &Catalogue) -> Option<[usize; 2]> {
        let image = catalogue.instances[self.slices.first()?.instance].image.as_ref()?;
        Some([image.rows, image.columns])
    }
}

/// A UID for a series whose own was taken out: the same for the same instances, in whatever order they come.
fn uid_of(instances: &[Instance], number: i64, indices: &[usize]) -> String {
    let mut uids: Vec<&str> = indices.iter().map(|index| instances[*index].sop_uid.as_str()).collect();
    uids.sort_unstable();
    uids.dedup();
    derived_uid(&[b"series", &number.to_le_bytes(), uids.join("\\").as_bytes()])
}

/// Splits the instances of one UID by orientation and matrix, then by acquisition.
fn split(instances: &[Instance], uid: &str, indices: Vec<usize>) -> Vec<Series> {
    let mut groups: Vec<(Shared, Series)> = Vec::new();
    for index in indices {
        for (matrix_and_plane, slice) in slices_of(instances, index) {
            let same = |group: &Shared| match (group, &matrix_and_plane) {
                (None, None) => true,
                (Some((matrix, plane)), Some((other, of))) => matrix == other && plane.is_parallel(of),
                _ => false,
            };
            let position = match groups.iter().position(|(group, _)| same(group)) {
                Some(position) => position,
                None => {
                    let (uid, slices, instances) = (uid.to_owned(), Vec::new(), Vec::new());
                    groups.push((matrix_and_plane, Series { uid, slices, instances, part: None, copies: 0 }));
                    groups.len() - 1
                }
            };
            let series = &mut groups[position].1;
            if series.instances.last() != Some(&index) {
                series.instances.push(index);
            }
            series.slices.extend(slice);
        }
    }
    let several = groups.len() > 1;
    groups
        .into_iter()
        .enumerate()
        .flat_map(|(n, (_, mut series))| {
            series.part = several.then(|| format!("part {}", n + 1));
            by_acquisition(instances, series)
        })
        .collect()
}

/// What slices of one series share: rows and columns, and a plane that all are parallel to; `None` of what lies nowhere.
type Shared = Option<([usize; 2], Plane)>;

type Keyed = (Shared, Option<SliceOf>);

/// The slices of an instance, each with what it must share with others of its series.
fn slices_of(instances: &[Instance], index: usize) -> Vec<Keyed> {
    let Some(image) = &instances[index].image else { return vec![(None, None)] };
    let matrix = [image.rows, image.columns];
    let keyed = |(n, frame): (usize, &Option<Frame>)| match frame {
        Some(it) => (Some((matrix, it.plane)), Some(SliceOf { instance: index, frame: n as u32, it: *it })),
        None => (None, None),
    };
    let mut slices: Vec<Keyed> = image.frames.iter().enumerate().map(keyed).collect();
    // One entry is enough to know of frames that lie nowhere.
    slices.dedup_by(|a, b| a.1.is_none() && b.1.is_none());
    slices
}

/// Splits a series with several scans of the same part of the body by acquisition: scans whose slices lie at the same
/// places, or between one another. Slices that are there again do not count.
///
/// Scans that follow one another along the body, and acquisitions of a slice each, are one volume.
fn by_acquisition(instances: &[Instance], mut series: Series) -> Vec<Series> {
    let slices = without_copies(instances, &series.slices);
    series.copies = series.slices.len() - slices.len();
    let most = |planes: &Vec<Plane>| at_one_place(planes).iter().map(Vec::len).max().unwrap_or(0);
    let deepest = most(&planes(&slices));
    for key in 0..3 {
        let parts = by_key(instances, &slices, key);
        let parts: Vec<Vec<Plane>> = parts.values().map(|slices| planes(slices)).collect();
        let several = match deepest {
            0 | 1 => overlap(&parts),
            _ => can_be_scans(&parts, deepest) && parts.iter().all(|planes| most(planes) == 1),
        };
        if parts.len() > 1 && several {
            let name = ["acquisition", "temporal position", "acquisition time"][key];
            return by_key(instances, &series.slices, key)
                .into_iter()
                .map(|(value, slices)| {
                    let copies = slices.len() - without_copies(instances, &slices).len();
                    let mut of_part: Vec<usize> = slices.iter().map(|slice| slice.instance).collect();
                    of_part.dedup();
                    let part = Some(format!("{name} {}", value.unwrap_or("unknown")));
                    Series { uid: series.uid.clone(), slices, instances: of_part, part, copies }
                })
                .collect();
        }
    }
    vec![series]
}

fn planes(slices: &[SliceOf]) -> Vec<Plane> {
    slices.iter().map(|slice| slice.it.plane).collect()
}

/// Slices but for those that are there again by their UIDs and positions.
fn without_copies(instances: &[Instance], slices: &[SliceOf]) -> Vec<SliceOf> {
    let mut seen: HashSet<(&str, u32, [u64; 3])> = HashSet::new();
    let is_new = |slice: &&SliceOf| {
        let uid = instances[slice.instance].sop_uid.as_str();
        // Whoever takes out UIDs takes out all of them, or makes one of all.
        uid.is_empty() || seen.insert((uid, slice.frame, slice.it.plane.position.map(f64::to_bits)))
    };
    slices.iter().filter(is_new).copied().collect()
}

/// Slices by one of the attributes that tell acquisitions apart.
fn by_key<'a>(instances: &'a [Instance], slices: &[SliceOf], key: usize) -> BTreeMap<Option<&'a str>, Vec<SliceOf>> {
    let mut parts: BTreeMap<Option<&str>, Vec<SliceOf>> = BTreeMap::new();
    for slice in slices {
        parts.entry(instances[slice.instance].acquisition[key].as_deref()).or_default().push(*slice);
    }
    parts
}

/// Whether parts of slices, of which up to `deepest` lie at one place, can be scans: a few of many slices, or many of one
/// place. Where slices or turns of the gantry have numbers and times of their own, there are more.
fn can_be_scans(parts: &[Vec<Plane>], deepest: usize) -> bool {
    let largest = parts.iter().map(Vec::len).max().unwrap_or(0);
    largest > 1 && parts.len() <= largest.max(deepest)
}

/// Whether a file is a zip archive.
pub(crate) fn is_archive(path: &Path) -> Result<bool, DicomError> {
    let (mut source, _) = Place::File(path.to_owned()).open()?;
    let mut magic = [0; 4];
    Ok(source.read_exact(&mut magic).is_ok() && magic == sniff::ZIP)
}
