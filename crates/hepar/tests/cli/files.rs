//! NIfTI files byte by byte, with whatever is wrong in them.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A little-endian NIfTI-1 file with its fields at the offsets of nifti1.h.
pub struct Nifti(Vec<u8>);

impl Nifti {
    /// A scan of i16 voxels, `[i, j, k]`, at 2 mm with a plain sform; `voxel` gives them by their number.
    pub fn scan(shape: [i16; 3], voxel: impl Fn(usize) -> i16) -> Self {
        let mut file = Self(vec![0; 352]).dims(&shape).set(70, 4i16.to_le_bytes()).set(72, 16i16.to_le_bytes());
        file = file.set(0, 348i32.to_le_bytes()).set(108, 352f32.to_le_bytes()).set(344, *b"n+1\0").set(123, [2]);
        file = file.spacing([2.0; 3]).sform([[2.0, 0.0, 0.0, 5.0], [0.0, 2.0, 0.0, 6.0], [0.0, 0.0, 2.0, 7.0]]);
        let count = shape.iter().map(|&n| n as usize).product();
        file.voxels((0..count).flat_map(|n| voxel(n).to_le_bytes()))
    }

    /// A scan with the intensities of air, fat and soft tissue.
    pub fn ct() -> Self {
        Self::scan([6, 5, 4], |n| [-1000, -100, 40, 60, 80, 100, 300, 20, 10, 1][n % 10])
    }

    /// Sets the dimensions; the voxels stay as they are.
    pub fn dims(self, dims: &[i16]) -> Self {
        let mut all = [1i16; 8];
        all[0] = dims.len() as i16;
        all[1..=dims.len()].copy_from_slice(dims);
        all.iter().enumerate().fold(self, |file, (n, dim)| file.set(40 + 2 * n, dim.to_le_bytes()))
    }

    /// `pixdim` of i, j, k.
    pub fn spacing(self, mm: [f32; 3]) -> Self {
        mm.iter()
            .enumerate()
            .fold(self.set(76, 1f32.to_le_bytes()), |file, (n, mm)| file.set(80 + 4 * n, mm.to_le_bytes()))
    }

    /// The affine by rows, with code 1.
    pub fn sform(self, rows: [[f32; 4]; 3]) -> Self {
        let values = rows.into_iter().flatten().enumerate();
        values.fold(self.set(254, 1i16.to_le_bytes()), |file, (n, v)| file.set(280 + 4 * n, v.to_le_bytes()))
    }

    /// No sform; a qform without rotation instead.
    pub fn qform_only(self) -> Self {
        self.set(254, 0i16.to_le_bytes()).qform([0.0; 3])
    }

    /// A qform without rotation whose first voxel lies at `offset`.
    pub fn qform(self, offset: [f32; 3]) -> Self {
        let file = self.set(252, 1i16.to_le_bytes());
        offset.iter().enumerate().fold(file, |file, (n, v)| file.set(268 + 4 * n, v.to_le_bytes()))
    }

    /// Voxels of f32 instead.
    pub fn floats(self, values: impl IntoIterator<Item = f32>) -> Self {
        self.set(70, 16i16.to_le_bytes())
            .set(72, 32i16.to_le_bytes())
            .voxels(values.into_iter().flat_map(f32::to_le_bytes))
    }

    /// Replaces the bytes of the voxels.
    pub fn voxels(mut self, bytes: impl IntoIterator<Item = u8>) -> Self {
        self.0.truncate(352);
        self.0.extend(bytes);
        self
    }

    /// Replaces the bytes at an offset.
    pub fn set<const N: usize>(mut self, at: usize, bytes: [u8; N]) -> Self {
        self.0[at..at + N].copy_from_slice(&bytes);
        self
    }

    /// The bytes, compressed.
    pub fn compressed(&self) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&self.0).unwrap();
        gzip.finish().unwrap()
    }

    /// Writes the file as it is.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, &self.0).unwrap();
    }
}
