//! Resampling, components and holes against SimpleITK and SciPy.
//!
//! `tests/oracles/resample_simpleitk.py` made the numbers.

use std::collections::HashMap;

use hepar_volume::{Connectivity, Geometry, Volume, components, fill_holes, resample_linear_or, resample_nearest};
use ndarray::Array3;

struct Golden(HashMap<&'static str, Vec<f64>>);

impl Golden {
    fn read() -> Self {
        let lines = include_str!("golden/simpleitk.txt").lines();
        let entries = lines.map(|line| line.split_once(": ").unwrap());
        Self(entries.map(|(name, numbers)| (name, numbers.split(' ').map(|n| n.parse().unwrap()).collect())).collect())
    }

    fn shape(&self, name: &str) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.0[name][axis] as usize)
    }

    fn geometry(&self, name: &str) -> Geometry {
        let numbers = &self.0[format!("{name}_affine").as_str()];
        let affine = [0, 1, 2, 3].map(|row| [0, 1, 2, 3].map(|column| numbers[4 * row + column]));
        Geometry::new(affine, self.shape(&format!("{name}_shape"))).unwrap()
    }

    fn source(&self) -> Volume<i16> {
        let mut numbers = splitmix64(1);
        Volume::from_fn(self.geometry("source"), |_| (numbers.next().unwrap() % 401) as i16 - 200)
    }

    /// Numbers 0 to 999 of which those below a threshold are the mask.
    fn numbers(&self) -> Array3<u64> {
        let mut numbers = splitmix64(2);
        Array3::from_shape_simple_fn(self.shape("mask_shape"), || numbers.next().unwrap() % 1000)
    }
}

fn splitmix64(mut seed: u64) -> impl Iterator<Item = u64> {
    std::iter::repeat_with(move || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

#[test]
fn linear_resampling_is_that_of_simpleitk() {
    let golden = Golden::read();
    for name in ["oblique", "parallel"] {
        let expected = &golden.0[format!("{name}_linear").as_str()];
        let result = resample_linear_or(&golden.source(), &golden.geometry(name), -2000.0);
        assert_eq!(result.data().len(), expected.len());
        for ((at, value), expected) in result.data().indexed_iter().zip(expected) {
            assert!((f64::from(*value) - expected).abs() < 1e-4, "{name} {at:?}: {value} instead of {expected}");
        }
    }
}

#[test]
fn nearest_resampling_is_that_of_simpleitk() {
    let golden = Golden::read();
    for name in ["oblique", "parallel"] {
        let expected = &golden.0[format!("{name}_nearest").as_str()];
        let result = resample_nearest(&golden.source(), &golden.geometry(name), -2000);
        assert_eq!(result.data().iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), *expected, "{name}");
    }
}

#[test]
fn components_are_those_of_scipy() {
    let golden = Golden::read();
    let numbers = golden.numbers();
    let neighbourhoods = [("6", Connectivity::Faces6), ("18", Connectivity::Edges18), ("26", Connectivity::Corners26)];
    for (name, connectivity) in neighbourhoods {
        let [density, sizes @ ..] = golden.0[format!("components_{name}").as_str()].as_slice() else { panic!() };
        let mask = numbers.map(|&n| (n as f64) < *density);
        let found = components(mask.view(), connectivity);
        assert_eq!(found.sizes.iter().map(|&size| size as f64).collect::<Vec<_>>(), sizes, "{name} neighbours");
    }
}

#[test]
fn filled_holes_are_those_of_scipy() {
    let golden = Golden::read();
    let mask = golden.numbers().map(|&n| n < 720);
    let mut filled = mask.clone();
    fill_holes(&mut filled);
    let added = filled.iter().zip(&mask).enumerate().filter(|(_, (after, before))| after != before);
    assert_eq!(added.map(|(position, _)| position as f64).collect::<Vec<_>>(), golden.0["filled"]);
}
