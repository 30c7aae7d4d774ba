//! Where in a case a sample lies.

use hepar_volume::VoxelBox;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::error::DataError;
use crate::prepare::{LiverFacts, Prepared};

/// Liver samples around the liver's surface, of all of them.
const SURFACE_SHARE: (u32, u32) = (1, 3);

/// One entry, evenly.
///
/// # Panics
/// When there is none.
pub(crate) fn one_of<'a, T>(rng: &mut ChaCha8Rng, entries: &'a [T]) -> &'a T {
    &entries[rng.random_range(0..entries.len())]
}

/// One voxel of all lesions, evenly.
///
/// # Panics
/// When there is none.
pub(crate) fn one_of_all(rng: &mut ChaCha8Rng, lesions: &[Vec<u32>]) -> u32 {
    let count: usize = lesions.iter().map(Vec::len).sum();
    let mut rest = rng.random_range(0..count);
    for lesion in lesions {
        match lesion.get(rest) {
            Some(&voxel) => return voxel,
            None => rest -= lesion.len(),
        }
    }
    unreachable!("a number below the count of all voxels is that of one")
}

/// First voxel of a liver sample, `[k, j, i]`; may lie before the case's first.
///
/// One in three has a voxel of the liver's surface in it, anywhere but at its rim. The others lie over the stage's box.
pub(crate) fn liver_start(rng: &mut ChaCha8Rng, case: &Prepared, liver: &LiverFacts, patch: [usize; 3]) -> [i64; 3] {
    if rng.random_ratio(SURFACE_SHARE.0, SURFACE_SHARE.1) && !liver.surface.is_empty() {
        let position = *one_of(rng, &liver.surface);
        return around(rng, case.index(position), patch);
    }
    over(rng, &liver.region, patch)
}

/// First voxel of a patch over a box, `[k, j, i]`, evenly.
///
/// Along an axis where the box is not larger than the patch, all of it lies in the patch; else the patch lies over the
/// box and reaches out of it by up to a quarter of its own size.
fn over(rng: &mut ChaCha8Rng, region: &VoxelBox, patch: [usize; 3]) -> [i64; 3] {
    std::array::from_fn(|axis| {
        let (start, end) = (region.start()[axis] as i64, region.end()[axis] as i64);
        let (size, out) = (patch[axis] as i64, patch[axis] as i64 / 4);
        if end - start <= size {
            rng.random_range(end - size..=start)
        } else {
            rng.random_range(start - out..=end - size + out)
        }
    })
}

/// First voxel of the patch whose middle is that of a box, `[k, j, i]`.
pub(crate) fn centred(region: &VoxelBox, patch: [usize; 3]) -> [i64; 3] {
    std::array::from_fn(|axis| {
        let (start, end) = (region.start()[axis] as i64, region.end()[axis] as i64);
        (start + end - patch[axis] as i64).div_euclid(2)
    })
}

/// A voxel of the liver, `[k, j, i]`, almost surely any of them as often as any other.
pub(crate) fn liver_voxel(rng: &mut ChaCha8Rng, case: &Prepared, liver: &LiverFacts) -> Result<[usize; 3], DataError> {
    let (start, end) = (liver.bounds.start(), liver.bounds.end());
    for _ in 0..1000 {
        let voxel: [usize; 3] = std::array::from_fn(|axis| rng.random_range(start[axis]..end[axis]));
        if case.voxels.label(voxel)? >= 1 {
            return Ok(voxel);
        }
    }
    Ok(liver.surface.first().map_or(start, |&position| case.index(position)))
}

/// First voxel of a patch that holds `voxel`, but not in its outer eighth, from where a rotation could take it out.
pub(crate) fn around(rng: &mut ChaCha8Rng, voxel: [usize; 3], patch: [usize; 3]) -> [i64; 3] {
    std::array::from_fn(|axis| {
        let rim = patch[axis] / 8;
        voxel[axis] as i64 - rng.random_range(rim..patch[axis] - rim) as i64
    })
}

/// The patch moved back over the case as far as it goes: inference, too, takes real CT before it pads.
pub(crate) fn within(start: [i64; 3], shape: [usize; 3], patch: [usize; 3]) -> [i64; 3] {
    std::array::from_fn(|axis| {
        let room = shape[axis] as i64 - patch[axis] as i64;
        start[axis].clamp(room.min(0), room.max(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::collections::BTreeSet;

    #[test]
    fn by_size_every_voxel_of_a_lesion_is_drawn() {
        let lesions = [vec![7], vec![1, 2], vec![9]];
        let drawn: BTreeSet<u32> =
            (0..100).map(|seed| one_of_all(&mut ChaCha8Rng::seed_from_u64(seed), &lesions)).collect();
        assert!(drawn.into_iter().eq([1, 2, 7, 9]));
    }

    #[test]
    fn a_small_box_lies_anywhere_in_the_patch_and_a_large_one_is_covered_in_parts() {
        let region = VoxelBox::new([20, 10, 30], [36, 74, 230]).unwrap();
        let mut starts: [BTreeSet<i64>; 3] = Default::default();
        for seed in 0..2000 {
            let start = over(&mut ChaCha8Rng::seed_from_u64(seed), &region, [32, 64, 64]);
            starts.iter_mut().zip(start).for_each(|(starts, start)| starts.extend([start]));
        }
        // A box of half the patch, of all of it, and of three times its size.
        assert!(starts[0].iter().copied().eq(4..=20), "{:?}", starts[0]);
        assert!(starts[1].iter().copied().eq([10]), "{:?}", starts[1]);
        assert_eq!((starts[2].first(), starts[2].last()), (Some(&14), Some(&182)));
    }

    #[test]
    fn a_patch_lies_over_the_case_where_it_fits() {
        assert_eq!(within([-5, 90, 10], [60, 120, 40], [32, 64, 64]), [0, 56, 0]);
        assert_eq!(within([10, 20, -10], [60, 120, 40], [32, 64, 64]), [10, 20, -10]);
        assert_eq!(within([99, -99, -99], [60, 120, 40], [32, 64, 64]), [28, 0, -24]);
    }
}
