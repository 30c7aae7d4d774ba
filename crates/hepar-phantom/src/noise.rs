//! Smooth noise in space.

/// Random values on a lattice of step 1, interpolated smoothly between.
///
/// A function of the point and the seed alone, so that slices can be drawn in any order.
#[derive(Debug, Clone)]
pub(crate) struct ValueNoise {
    seed: u64,
}

impl ValueNoise {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The noise at a point, within −1..=1.
    pub(crate) fn at(&self, point: [f32; 3]) -> f32 {
        let (cell, weight) = locate(point);
        let corner = |bits: i32| unit(self.hash(cell, bits));
        interpolate(weight, corner)
    }

    /// Three independent noises at a point, each within −1..=1.
    pub(crate) fn vector_at(&self, point: [f32; 3]) -> [f32; 3] {
        let (cell, weight) = locate(point);
        let corners: [u64; 8] = std::array::from_fn(|bits| self.hash(cell, bits as i32));
        std::array::from_fn(|axis| interpolate(weight, |bits| unit(corners[bits as usize] << (21 * axis))))
    }

    fn hash(&self, cell: [i32; 3], corner: i32) -> u64 {
        let coordinate = |axis: usize| cell[axis].wrapping_add(corner >> axis & 1) as u32 as u64;
        let mut h = self.seed
            ^ coordinate(0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ coordinate(1).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
            ^ coordinate(2).wrapping_mul(0x1656_67b1_9e37_79f9);
        // The finaliser of SplitMix64 spreads every input bit over all output bits.
        h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        h ^ (h >> 31)
    }
}

/// The lattice cell of a point and the smoothed position within it.
fn locate(point: [f32; 3]) -> ([i32; 3], [f32; 3]) {
    // The greatest integer below; `floor` is a library call on processors without SSE 4.1.
    let cell = point.map(|v| v as i32 - i32::from(v < (v as i32) as f32));
    let weight = std::array::from_fn(|axis| {
        let t = point[axis] - cell[axis] as f32;
        t * t * (3.0 - 2.0 * t)
    });
    (cell, weight)
}

/// The upper 21 bits of a hash as a number within −1..=1.
fn unit(hash: u64) -> f32 {
    (hash >> 43) as f32 * (2.0 / ((1 << 21) - 1) as f32) - 1.0
}

fn interpolate(weight: [f32; 3], corner: impl Fn(i32) -> f32) -> f32 {
    let along_x = |bits: i32| {
        let (a, b) = (corner(bits), corner(bits | 1));
        a + (b - a) * weight[0]
    };
    let along_y = |bits: i32| {
        let (a, b) = (along_x(bits), along_x(bits | 2));
        a + (b - a) * weight[1]
    };
    let (a, b) = (along_y(0), along_y(4));
    a + (b - a) * weight[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_has_no_steps_and_stays_within_one() {
        let noise = ValueNoise::new(7);
        let mut last = noise.at([-5.0, 0.3, 0.7]);
        for step in 1..10_000 {
            let value = noise.at([-5.0 + step as f32 * 1e-3, 0.3, 0.7]);
            assert!((value - last).abs() < 4e-3 && value.abs() <= 1.0);
            last = value;
        }
    }

    #[test]
    fn the_three_noises_of_a_vector_differ() {
        let [x, y, z] = ValueNoise::new(7).vector_at([0.2, 1.7, -3.4]);
        assert!(x != y && y != z && x != z);
    }
}
