//! Random numbers, one stream for each thing that is drawn, so that an option more does not reshuffle the others.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What random numbers are drawn for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Spec,
    Pose,
    Body,
    Tissue,
    Diaphragm,
    Skeleton,
    Chest,
    Organs,
    Bowel,
    Liver,
    Vessels,
    Tumours,
    Texture,
    /// Whether a random spec has arms and metal.
    Additions,
    /// What these look like. The numbers that decide whether there are any are all small where there are.
    AdditionShapes,
    /// The noise of one axial slice.
    Slice(usize),
}

impl Stream {
    fn number(self) -> u64 {
        match self {
            Self::Spec => 1,
            Self::Pose => 2,
            Self::Body => 3,
            Self::Tissue => 4,
            Self::Diaphragm => 5,
            Self::Skeleton => 6,
            Self::Chest => 7,
            Self::Organs => 8,
            Self::Bowel => 9,
            Self::Liver => 10,
            Self::Vessels => 11,
            Self::Tumours => 12,
            Self::Texture => 13,
            Self::Additions => 14,
            Self::AdditionShapes => 15,
            Self::Slice(slice) => 1000 + slice as u64,
        }
    }
}

/// The random numbers of one stream of a seed.
pub(crate) fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream.number());
    rng
}

/// A number between `least` and `greatest`.
pub(crate) fn range(rng: &mut ChaCha8Rng, least: f32, greatest: f32) -> f32 {
    least + (greatest - least) * rng.random::<f32>()
}

/// Whether something of the given probability happens.
pub(crate) fn chance(rng: &mut ChaCha8Rng, probability: f32) -> bool {
    rng.random::<f32>() < probability
}

/// A point whose coordinates are within `reach` of `centre`'s.
pub(crate) fn near(rng: &mut ChaCha8Rng, centre: [f32; 3], reach: f32) -> [f32; 3] {
    centre.map(|c| c + range(rng, -reach, reach))
}

/// A random direction of length 1.
pub(crate) fn direction(rng: &mut ChaCha8Rng) -> [f32; 3] {
    let z = range(rng, -1.0, 1.0);
    let (sin, cos) = range(rng, 0.0, std::f32::consts::TAU).sin_cos();
    let radius = (1.0 - z * z).max(0.0).sqrt();
    [radius * cos, radius * sin, z]
}
