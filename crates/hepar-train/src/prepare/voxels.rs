//! Voxels of prepared cases: in memory, and in a file those for which there is no room.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hepar_volume::VoxelBox;
use ndarray::{Array3, ArrayView3, CowArray, Ix3, Slice};

use super::Prepared;
use crate::error::DataError;

/// Hounsfield units and labels of a case, `[k, j, i]`, both on one grid.
#[derive(Debug, Clone)]
pub struct Voxels(Kept);

#[derive(Debug, Clone)]
enum Kept {
    Memory { hu: Array3<i16>, labels: Array3<u8> },
    File { file: Arc<Shared>, start: u64, shape: [usize; 3] },
}

/// Some of a case's voxels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part<'a> {
    /// Voxels of the whole case, `[k, j, i]`.
    pub shape: [usize; 3],
    /// The first voxel of the part in the case.
    pub start: [usize; 3],
    /// Hounsfield units of the part.
    pub hu: CowArray<'a, i16, Ix3>,
    /// Labels of the part.
    pub labels: CowArray<'a, u8, Ix3>,
}

impl Voxels {
    /// Voxels in memory.
    ///
    /// # Panics
    /// When the two have different shapes.
    pub(crate) fn new(hu: Array3<i16>, labels: Array3<u8>) -> Self {
        assert_eq!(hu.dim(), labels.dim(), "Hounsfield units and labels lie on one grid");
        Self(Kept::Memory { hu, labels })
    }

    /// How many there are, `[k, j, i]`.
    pub fn shape(&self) -> [usize; 3] {
        match &self.0 {
            Kept::Memory { hu, .. } => hu.dim().into(),
            Kept::File { shape, .. } => *shape,
        }
    }

    /// Bytes that they take in memory; 0 when they lie in a file.
    pub(super) fn bytes(&self) -> usize {
        match &self.0 {
            Kept::Memory { hu, .. } => 3 * hu.len(),
            Kept::File { .. } => 0,
        }
    }

    /// Bytes that they take in a file; 0 when they lie in memory.
    pub(super) fn bytes_in_file(&self) -> u64 {
        match &self.0 {
            Kept::Memory { .. } => 0,
            Kept::File { shape, .. } => 3 * shape.iter().product::<usize>() as u64,
        }
    }

    /// The label of one of them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn label(&self, index: [usize; 3]) -> Result<u8, DataError> {
        match &self.0 {
            Kept::Memory { labels, .. } => Ok(labels[index]),
            Kept::File { file, start, shape } => {
                let mut label = [0];
                file.read(labels_at(*start, *shape) + position(index, *shape), &mut label)?;
                Ok(label[0])
            }
        }
    }

    /// At least those in a box.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn part(&self, bounds: &VoxelBox) -> Result<Part<'_>, DataError> {
        let shape = self.shape();
        let (start, end) = (bounds.start(), bounds.end());
        match &self.0 {
            Kept::Memory { hu, labels } => {
                let range = |axis: usize| Slice::from(start[axis]..end[axis]);
                let hu = hu.slice_each_axis(|axis| range(axis.axis.index()));
                let labels = labels.slice_each_axis(|axis| range(axis.axis.index()));
                Ok(Part { shape, start, hu: hu.into(), labels: labels.into() })
            }
            Kept::File { file, start: first, .. } => {
                // Whole rows: what lies between two of them is not worth skipping.
                let [slices, rows, columns] = [end[0] - start[0], end[1] - start[1], shape[2]];
                let count = slices * rows * columns;
                let (mut hu, mut labels) = (Vec::with_capacity(count), Vec::with_capacity(count));
                let (mut two, mut one) = (vec![0; 2 * rows * columns], vec![0; rows * columns]);
                for k in start[0]..end[0] {
                    let at = position([k, start[1], 0], shape);
                    file.read(first + 2 * at, &mut two)?;
                    file.read(labels_at(*first, shape) + at, &mut one)?;
                    hu.extend(two.chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])));
                    labels.extend_from_slice(&one);
                }
                let read = [slices, rows, columns];
                let (hu, labels) = (shaped(read, hu).into(), shaped(read, labels).into());
                Ok(Part { shape, start: [start[0], start[1], 0], hu, labels })
            }
        }
    }

    /// All of them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn all(&self) -> Result<Part<'_>, DataError> {
        let shape = self.shape();
        let empty = || unreachable!("a case has voxels");
        self.part(&VoxelBox::new([0; 3], shape).unwrap_or_else(empty))
    }
}

/// Equal when their values are, wherever they lie; what cannot be read equals nothing.
impl PartialEq for Voxels {
    fn eq(&self, other: &Self) -> bool {
        matches!((self.all(), other.all()), (Ok(a), Ok(b)) if a == b)
    }
}

impl<'a> Part<'a> {
    /// All of a case.
    #[cfg(test)]
    pub fn whole(hu: ArrayView3<'a, i16>, labels: ArrayView3<'a, u8>) -> Self {
        Self { shape: hu.dim().into(), start: [0; 3], hu: hu.into(), labels: labels.into() }
    }

    /// The part as a case of its own.
    pub fn alone(self) -> Self {
        Self { shape: self.hu.dim().into(), start: [0; 3], ..self }
    }

    /// Hounsfield units at an index of the whole case, which must lie in the part.
    #[inline]
    pub fn hu_at(&self, index: [usize; 3]) -> f32 {
        f32::from(self.hu[self.inner(index)])
    }

    /// The label at an index of the whole case, which must lie in the part.
    #[inline]
    pub fn label_at(&self, index: [usize; 3]) -> u8 {
        self.labels[self.inner(index)]
    }

    #[inline]
    fn inner(&self, index: [usize; 3]) -> [usize; 3] {
        [index[0] - self.start[0], index[1] - self.start[1], index[2] - self.start[2]]
    }
}

/// The values in C order as an array.
fn shaped<T>(shape: [usize; 3], values: Vec<T>) -> Array3<T> {
    Array3::from_shape_vec(shape, values).unwrap_or_else(|error| unreachable!("as many as were read: {error}"))
}

/// Position of a voxel in C order.
fn position([k, j, i]: [usize; 3], [_, height, width]: [usize; 3]) -> u64 {
    ((k * height + j) * width + i) as u64
}

/// Where the labels of a case begin whose Hounsfield units begin at `start`.
fn labels_at(start: u64, shape: [usize; 3]) -> u64 {
    start + 2 * shape.iter().product::<usize>() as u64
}

/// Where the voxels of cases are kept: so many bytes of memory, and for the rest a temporary file.
///
/// The system removes the file when the last case is dropped; on Unix it never has a name. Where a case lies changes no sample.
#[derive(Debug)]
pub struct Storage {
    folder: PathBuf,
    state: Mutex<Filled>,
}

/// What is left of a storage.
#[derive(Debug)]
struct Filled {
    memory: u64,
    file: Option<Arc<Shared>>,
}

/// A file that several threads read.
#[derive(Debug)]
struct Shared {
    file: Mutex<File>,
    folder: PathBuf,
}

impl Storage {
    /// A storage with `memory` bytes, and a file in `folder` if these are not enough.
    pub fn new(memory: u64, folder: &Path) -> Self {
        Self { folder: folder.to_owned(), state: Mutex::new(Filled { memory, file: None }) }
    }

    /// A storage that needs no file.
    pub fn memory() -> Self {
        Self::new(u64::MAX, Path::new(""))
    }

    /// The case, with its voxels where there is room for them.
    ///
    /// # Errors
    /// When the file cannot be made or written.
    pub(crate) fn keep(&self, case: Prepared) -> Result<Prepared, DataError> {
        let Kept::Memory { hu, labels } = &case.voxels.0 else { return Ok(case) };
        let failed = |source| DataError::Storage { folder: self.folder.clone(), source };
        let Some(file) = self.file_for(&case).map_err(failed)? else { return Ok(case) };
        let start = write(&mut locked(&file.file), hu.view(), labels.view()).map_err(failed)?;
        let voxels = Voxels(Kept::File { file, start, shape: hu.dim().into() });
        Ok(Prepared { voxels, ..case })
    }

    /// Takes what the case needs from the memory that is left: all of it, or what does not go into the file, which is made
    /// for the first.
    fn file_for(&self, case: &Prepared) -> io::Result<Option<Arc<Shared>>> {
        let mut state = locked(&self.state);
        if let Some(left) = state.memory.checked_sub(case.bytes() as u64) {
            state.memory = left;
            return Ok(None);
        }
        state.memory = state.memory.saturating_sub((case.bytes() - case.voxels.bytes()) as u64);
        if state.file.is_none() {
            let file = Mutex::new(tempfile::tempfile_in(&self.folder)?);
            state.file = Some(Arc::new(Shared { file, folder: self.folder.clone() }));
        }
        Ok(state.file.clone())
    }
}

/// Puts voxels at the end of a file; where that was.
fn write(file: &mut File, hu: ArrayView3<'_, i16>, labels: ArrayView3<'_, u8>) -> io::Result<u64> {
    let start = file.seek(SeekFrom::End(0))?;
    for plane in hu.outer_iter() {
        let bytes: Vec<u8> = plane.iter().flat_map(|hu| hu.to_le_bytes()).collect();
        file.write_all(&bytes)?;
    }
    for plane in labels.outer_iter() {
        let bytes: Vec<u8> = plane.iter().copied().collect();
        file.write_all(&bytes)?;
    }
    Ok(start)
}

impl Shared {
    /// As many bytes as `into` has, from `at` on.
    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), DataError> {
        let mut file = locked(&self.file);
        let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(into));
        read.map_err(|source| DataError::Stored { folder: self.folder.clone(), source })
    }
}

/// What the mutex guards. A thread that panicked has left nothing half done there that the next one does not do again.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::PatientId;

    fn case() -> Prepared {
        let hu = Array3::from_shape_fn((4, 5, 6), |(k, j, i)| (100 * k + 10 * j + i) as i16 - 200);
        let labels = hu.mapv(|hu| (hu.rem_euclid(3)) as u8);
        let (name, patient, origin) = ("a".to_owned(), PatientId::of("a"), "scans".to_owned());
        Prepared { name, patient, origin, voxels: Voxels::new(hu, labels), spacing: [1.0; 3], liver: None }
    }

    #[test]
    fn what_has_no_room_in_memory_lies_in_a_file_and_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        // Room for the first of three cases of 120 voxels.
        let storage = Storage::new(500, folder.path());
        let kept: Vec<Prepared> = (0..3).map(|_| storage.keep(case()).unwrap()).collect();
        assert_eq!(kept.iter().map(|case| case.voxels.bytes()).collect::<Vec<_>>(), [360, 0, 0]);
        let bounds = VoxelBox::new([1, 2, 3], [3, 5, 4]).unwrap();
        let memory = kept[0].voxels.part(&bounds).unwrap();
        for case in &kept {
            assert_eq!(*case, kept[0]);
            let part = case.voxels.part(&bounds).unwrap();
            for index in [[1, 2, 3], [2, 4, 3]] {
                assert_eq!((part.hu_at(index), part.label_at(index)), (memory.hu_at(index), memory.label_at(index)));
                assert_eq!(case.voxels.label(index).unwrap(), memory.label_at(index));
            }
            assert_eq!(part.shape, [4, 5, 6]);
        }
        drop(kept);
        drop(storage);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file went with the last case");
    }

    #[test]
    fn a_folder_that_takes_no_file_is_named() {
        let error = Storage::new(0, Path::new("/no such folder")).keep(case()).unwrap_err().to_string();
        assert!(error.contains("/no such folder") && error.contains("--memory"), "{error}");
    }
}
