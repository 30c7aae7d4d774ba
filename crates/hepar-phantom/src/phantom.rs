use hepar_volume::{Millimetres, Volume};

/// A synthetic scan and what is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Phantom {
    /// Hounsfield units within −1024..=3071.
    pub ct: Volume<i16>,
    /// 0 background, 1 liver, 2 tumour, on the grid of `ct`. Vessels within the liver are liver.
    pub labels: Volume<u8>,
    /// The tumours, each one 26-connected component of label 2; none touches another.
    pub tumours: Vec<Tumour>,
}

/// A tumour of a phantom, as its label voxels show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tumour {
    /// Mean position of its voxels.
    pub centre: Millimetres,
    /// Volume of its voxels in millilitres.
    pub volume_ml: f64,
    /// Diameter of a sphere of the same volume, in millimetres.
    pub diameter_mm: f64,
    /// Mean of the scan over its voxels, in HU.
    pub mean_hu: f64,
}
