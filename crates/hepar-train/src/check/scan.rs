use hepar_formats::Scan;
use hepar_volume::{Reorientation, orientation_code};
use ndarray::ArrayView3;
use sha2::{Digest, Sha256};

use super::Finding;

/// The least intensity of a scan, in Hounsfield units, above which it was clipped: air has −1000, gas in the bowel is
/// little brighter.
const AIR: i16 = -200;

/// The greatest intensity of a scan, in Hounsfield units, from which on it was not clipped: the densest bone has it.
const BONE: i16 = 1500;

/// Share of the voxels that may have the greatest intensity by chance.
const BY_CHANCE: f64 = 0.01;

/// Steps are coarse when there are at most this many different intensities …
const FEW_VALUES: usize = 256;

/// … and they are this far apart on average, in Hounsfield units.
const COARSE_STEP: f64 = 1.5;

/// What a scan is.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanFacts {
    /// Number of voxels along `[k, j, i]` as they are stored.
    pub shape: [usize; 3],
    /// Distance of voxel centres along the same axes, in millimetres.
    pub spacing: [f64; 3],
    /// What +i, +j, +k point to, roughly: three of the letters R, L, A, P, S, I, as `LPS`.
    pub orientation: String,
    /// The least and the greatest intensity, in Hounsfield units.
    pub range: [i16; 2],
    /// SHA-256, as 64 hexadecimal digits, of the voxels in canonical orientation: 16-bit integers, the low byte first,
    /// in the order `[k, j, i]`.
    pub voxels_sha256: String,
}

impl ScanFacts {
    /// What a scan is, and what is odd about it.
    pub(super) fn of(scan: Scan) -> (Self, Vec<Finding>) {
        let Scan { volume, warnings, .. } = scan;
        let geometry = volume.geometry();
        let intensities = Intensities::of(volume.data());
        let mut findings: Vec<Finding> = warnings.into_iter().map(Finding::OfScan).collect();
        findings.extend(intensities.findings());
        let (shape, spacing, orientation) = (volume.shape(), geometry.spacing(), orientation_code(geometry));
        let canonical = Reorientation::to_canonical(geometry).apply_into(volume);
        let voxels_sha256 = sha256_of(canonical.data());
        (Self { shape, spacing, orientation, range: intensities.range, voxels_sha256 }, findings)
    }
}

/// Which intensities a scan has.
struct Intensities {
    /// The least and the greatest, in Hounsfield units.
    range: [i16; 2],
    /// Shares of the voxels that have the least and the greatest, 0..=1.
    shares: [f64; 2],
    /// How many different ones there are.
    values: usize,
}

impl Intensities {
    /// Counts the intensities of at least one voxel.
    fn of(voxels: ArrayView3<'_, i16>) -> Self {
        let mut counts = vec![0_u64; 1 << 16];
        voxels.iter().for_each(|&hu| counts[(i32::from(hu) - i32::from(i16::MIN)) as usize] += 1);
        let present: Vec<(i16, u64)> = (i16::MIN..=i16::MAX).zip(counts).filter(|(_, count)| *count > 0).collect();
        let [least, greatest] = [present.first(), present.last()].map(|end| end.copied().unwrap_or_default());
        let share = |count: u64| count as f64 / voxels.len() as f64;
        Self { range: [least.0, greatest.0], shares: [share(least.1), share(greatest.1)], values: present.len() }
    }

    /// What is odd about them; where all voxels are equal, the reader has said so.
    fn findings(&self) -> Vec<Finding> {
        let Self { range: [min, max], shares: [at_min, at_max], values } = *self;
        let mut findings = Vec::new();
        if min == max {
            return findings;
        }
        if min > AIR {
            findings.push(Finding::ClippedBelow { hu: min, share: at_min });
        }
        if max < BONE && at_max > BY_CHANCE {
            findings.push(Finding::ClippedAbove { hu: max, share: at_max });
        }
        let step = (f64::from(max) - f64::from(min)) / (values - 1) as f64;
        if values <= FEW_VALUES && step >= COARSE_STEP {
            findings.push(Finding::CoarseSteps { values, range: [min, max] });
        }
        findings
    }
}

/// SHA-256 of voxels as [`ScanFacts::voxels_sha256`] has it; no more than one slice of them is copied.
fn sha256_of(voxels: ArrayView3<'_, i16>) -> String {
    let mut hasher = Sha256::new();
    let mut bytes: Vec<u8> = Vec::new();
    for slice in voxels.outer_iter() {
        bytes.clear();
        bytes.extend(slice.iter().flat_map(|hu| hu.to_le_bytes()));
        hasher.update(&bytes);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
