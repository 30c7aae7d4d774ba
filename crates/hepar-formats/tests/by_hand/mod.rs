//! NIfTI files written field by field, after the tables of nifti1.h and nifti2.h and without the crate's own writer.

// Each test file uses what it needs.
#![allow(dead_code)]

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// A NIfTI file to be; the fields are those of the standard.
#[derive(Debug, Clone)]
pub struct File {
    pub version: u8,
    pub big_endian: bool,
    pub pair: bool,
    pub dim: [i64; 8],
    pub datatype: i16,
    pub pixdim: [f64; 4],
    pub vox_offset: f64,
    pub slope: f64,
    pub inter: f64,
    pub units: u8,
    pub qform_code: i16,
    pub sform_code: i16,
    pub quatern: [f64; 3],
    pub qoffset: [f64; 3],
    pub srow: [[f64; 4]; 3],
}

impl File {
    /// A volume of `i × j × k` voxels of 0.75 × 0.75 × 2.5 mm with an sform, without scaling.
    pub fn new([i, j, k]: [i64; 3], datatype: i16) -> Self {
        Self {
            version: 1,
            big_endian: false,
            pair: false,
            dim: [3, i, j, k, 1, 1, 1, 1],
            datatype,
            pixdim: [1.0, 0.75, 0.75, 2.5],
            vox_offset: 352.0,
            slope: 0.0,
            inter: 0.0,
            units: 2,
            qform_code: 0,
            sform_code: 1,
            quatern: [0.0; 3],
            qoffset: [0.0; 3],
            srow: [[-0.75, 0.0, 0.0, 100.0], [0.0, -0.75, 0.0, 90.0], [0.0, 0.0, 2.5, -500.0]],
        }
    }

    pub fn version_2(mut self) -> Self {
        self.version = 2;
        self.vox_offset = 544.0;
        self
    }

    /// The header and what is between it and the voxels, which is nothing in a pair.
    pub fn header(&self) -> Vec<u8> {
        if self.version == 1 { self.header_1() } else { self.header_2() }
    }

    /// The whole file; `voxels` are in its byte order already.
    pub fn with(&self, voxels: &[u8]) -> Vec<u8> {
        [self.header(), voxels.to_vec()].concat()
    }

    fn header_1(&self) -> Vec<u8> {
        let mut bytes = vec![0; 348];
        let mut put = |at: usize, mut number: Vec<u8>| {
            if self.big_endian {
                number.reverse();
            }
            bytes[at..at + number.len()].copy_from_slice(&number);
        };
        let short = |v: i64| (v as i16).to_le_bytes().to_vec();
        let float = |v: f64| (v as f32).to_le_bytes().to_vec();
        put(0, 348i32.to_le_bytes().to_vec());
        for n in 0..8 {
            put(40 + 2 * n, short(self.dim[n]));
        }
        put(70, short(i64::from(self.datatype)));
        for n in 0..4 {
            put(76 + 4 * n, float(self.pixdim[n]));
        }
        put(108, float(self.vox_offset));
        put(112, float(self.slope));
        put(116, float(self.inter));
        put(123, vec![self.units]);
        put(252, short(i64::from(self.qform_code)));
        put(254, short(i64::from(self.sform_code)));
        for n in 0..3 {
            put(256 + 4 * n, float(self.quatern[n]));
            put(268 + 4 * n, float(self.qoffset[n]));
            for column in 0..4 {
                put(280 + 16 * n + 4 * column, float(self.srow[n][column]));
            }
        }
        bytes[344..348].copy_from_slice(if self.pair { b"ni1\0" } else { b"n+1\0" });
        if !self.pair {
            bytes.extend([0; 4]);
        }
        bytes
    }

    fn header_2(&self) -> Vec<u8> {
        let mut bytes = vec![0; 540];
        let mut put = |at: usize, mut number: Vec<u8>| {
            if self.big_endian {
                number.reverse();
            }
            bytes[at..at + number.len()].copy_from_slice(&number);
        };
        let float = |v: f64| v.to_le_bytes().to_vec();
        let int = |v: i32| v.to_le_bytes().to_vec();
        put(0, int(540));
        put(12, self.datatype.to_le_bytes().to_vec());
        for n in 0..8 {
            put(16 + 8 * n, self.dim[n].to_le_bytes().to_vec());
        }
        for n in 0..4 {
            put(104 + 8 * n, float(self.pixdim[n]));
        }
        put(168, (self.vox_offset as i64).to_le_bytes().to_vec());
        put(176, float(self.slope));
        put(184, float(self.inter));
        put(344, int(i32::from(self.qform_code)));
        put(348, int(i32::from(self.sform_code)));
        for n in 0..3 {
            put(352 + 8 * n, float(self.quatern[n]));
            put(376 + 8 * n, float(self.qoffset[n]));
            for column in 0..4 {
                put(400 + 32 * n + 8 * column, float(self.srow[n][column]));
            }
        }
        put(500, int(i32::from(self.units)));
        bytes[4..12].copy_from_slice(if self.pair { b"ni2\0\r\n\x1a\n" } else { b"n+2\0\r\n\x1a\n" });
        if !self.pair {
            bytes.extend([0; 4]);
        }
        bytes
    }
}

/// Bytes of 16-bit voxels.
pub fn shorts(voxels: impl IntoIterator<Item = i16>) -> Vec<u8> {
    voxels.into_iter().flat_map(i16::to_le_bytes).collect()
}

/// Hounsfield units from −1000 on, all different.
pub fn some_hounsfield_units(count: i16) -> Vec<u8> {
    shorts((0..count).map(|n| 10 * n - 1000))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A file in a folder of its own, which lives as long as the guard.
pub fn saved(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = save(folder.path(), name, bytes);
    (folder, path)
}

pub fn save(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// An error and its causes, as the user sees them.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
