//! Probabilities of parts of scans through fake networks.

use std::sync::atomic::Ordering;

use crate::fakes::*;
use hepar_model::stage::{Grid, Stage, StageName};
use hepar_pipeline::{ObjectMask, Skip, StageRun, Unwatched};
use hepar_volume::{Volume, VoxelBox};
use ndarray::{Array3, Array5, ArrayView5, Axis};

/// Probabilities of `region`, and how many windows were run.
fn probabilities(
    stage: &Stage,
    answer: Answer,
    scan: &Volume<i16>,
    region: &VoxelBox,
    skip: &Skip<'_>,
) -> (Array3<f32>, usize) {
    let mut network = Fake::new(stage.network, answer);
    let windows = network.windows();
    let mut result = Array3::from_elem(region.shape(), f32::NAN);
    let mut next = 0;
    StageRun { name: StageName::Tumour, stage, network: &mut network }
        .probabilities(scan, region, skip, &Unwatched, &mut |k, slice| {
            assert_eq!(k, next, "slices come in order, each once");
            next += 1;
            result.index_axis_mut(Axis(0), k).assign(&slice);
        })
        .unwrap();
    assert_eq!(next, region.shape()[0]);
    (result, windows.load(Ordering::Relaxed))
}

fn grids() -> [Grid; 4] {
    [
        Grid::Native,
        Grid::ResizedInPlane { size: [70, 110] },
        Grid::Spacing { mm: [1.7, 0.9, 1.2] },
        Grid::Spacing { mm: [2.9, 1.3, 1.2] },
    ]
}

#[test]
fn skipped_windows_and_parts_of_windows_change_nothing_in_the_liver() {
    // A liver that is a diagonal rod leaves many windows of its box empty.
    let geometry = canonical([60, 90, 90], [2.0, 1.0, 1.0]);
    let scan = Volume::from_fn(geometry, |[k, j, i]| ((k * 31 + j * 17 + i * 7) % 300) as i16 - 100);
    let rod = Array3::from_shape_fn((60, 90, 90), |(k, j, i)| i.abs_diff(j) < 4 && (k * 3 / 2).abs_diff(j) < 5);
    let liver = ObjectMask::new([0; 3], rod.view()).unwrap();
    for (grid, mirror) in grids().into_iter().flat_map(|grid| [(grid, false), (grid, true)]) {
        let stage = Stage { grid, mirror, overlap: [0.4; 3], ..tumour() };
        let run = |skip: &Skip<'_>| probabilities(&stage, asymmetric, &scan, liver.bounds(), skip);
        let (all, all_windows) = run(&|_| false);
        let (some, some_windows) = run(&|voxels| !liver.touches(voxels));
        assert!(some_windows < all_windows, "{grid:?}: {some_windows} of {all_windows}");
        let start = liver.bounds().start();
        for voxel in liver.voxels() {
            let index: [usize; 3] = std::array::from_fn(|axis| voxel[axis] - start[axis]);
            assert_eq!(some[index], all[index], "{grid:?} {voxel:?}");
        }
        assert!(some != all, "{grid:?}: parts of windows were left out");
    }
}

#[test]
fn windows_without_any_liver_are_not_run() {
    let scan = Volume::filled(canonical([32, 32, 96], [1.0; 3]), 0i16);
    let stage = Stage { overlap: [0.0; 3], ..tumour() };
    let mut mask = Array3::from_elem((32, 32, 96), false);
    mask[[5, 5, 31]] = true;
    let liver = ObjectMask::new([0; 3], mask.view()).unwrap();
    let whole = VoxelBox::whole(scan.geometry());
    assert_eq!(probabilities(&stage, pointwise, &scan, &whole, &|voxels| !liver.touches(voxels)).1, 1);
    assert_eq!(probabilities(&stage, pointwise, &scan, &whole, &|_| true), (Array3::zeros((32, 32, 96)), 0));
}

#[test]
fn windows_of_nothing_but_air_are_not_run_and_hold_no_object() {
    let scan =
        Volume::from_fn(canonical([64, 32, 96], [1.0; 3]), |[k, _, i]| if k > 40 && i > 70 { 40 } else { -1000 });
    let whole = VoxelBox::whole(scan.geometry());
    let one = |input: ArrayView5<'_, f32>| Array5::ones(input.dim());
    for stage in [Stage { overlap: [0.0; 3], ..tumour() }, Stage { overlap: [0.0; 3], mirror: true, ..tumour() }] {
        let (all, windows) = probabilities(&stage, one, &scan, &whole, &|_| false);
        assert_eq!(windows, if stage.mirror { 4 } else { 1 });
        let expected = |(k, i): (usize, usize)| if k >= 32 && i >= 64 { 1.0 } else { 0.0 };
        assert!(all.indexed_iter().all(|((k, _, i), &probability)| probability == expected((k, i))));
    }
}

#[test]
fn where_the_network_says_1_the_probability_is_1_on_any_grid_and_overlap() {
    let scan = Volume::filled(canonical([40, 50, 60], [2.0, 0.8, 0.9]), 0i16);
    let region = VoxelBox::new([3, 4, 5], [39, 48, 60]).unwrap();
    let one = |input: ArrayView5<'_, f32>| Array5::ones(input.dim());
    for grid in grids() {
        for overlap in [0.0, 0.3, 0.5, 0.8] {
            let stage = Stage { grid, overlap: [overlap; 3], ..liver() };
            assert!(probabilities(&stage, one, &scan, &region, &|_| false).0.iter().all(|&p| p == 1.0));
        }
    }
}

#[test]
fn a_pointwise_network_gives_the_normalised_scan_back() {
    let scan =
        Volume::from_fn(canonical([40, 50, 60], [2.0, 0.8, 0.9]), |[k, j, i]| ((k * 9 + j * 5 + i) % 500) as i16 - 200);
    let region = VoxelBox::new([3, 4, 5], [9, 48, 60]).unwrap();
    let stage = Stage { overlap: [0.5; 3], ..liver() };
    let (all, _) = probabilities(&stage, pointwise, &scan, &region, &|_| false);
    for ((k, j, i), probability) in all.indexed_iter() {
        let expected = stage.window.apply(f32::from(scan.data()[[k + 3, j + 4, i + 5]]));
        assert!((probability - expected).abs() < 1e-6);
    }
}

#[test]
fn around_a_small_object_the_network_sees_real_ct_and_beyond_the_scan_the_windows_low_end() {
    // Says how much of its window is not at the low end.
    let share = |input: ArrayView5<'_, f32>| {
        let seen = input.iter().filter(|v| **v > 0.0).count() as f32 / input.len() as f32;
        Array5::from_elem(input.dim(), seen)
    };
    let region = VoxelBox::new([5, 20, 20], [8, 22, 22]).unwrap();
    let seen = |shape| {
        let scan = Volume::filled(canonical(shape, [1.0; 3]), LIVER);
        probabilities(&liver(), share, &scan, &region, &|_| false).0[[0, 0, 0]]
    };
    assert_eq!(seen([40, 40, 40]), 1.0);
    assert_eq!(seen([16, 40, 40]), 0.5);
    assert_eq!(seen([16, 40, 24]), 0.375);
}

#[test]
fn mirrored_windows_cancel_what_a_network_prefers_of_a_side() {
    // Says more on the left of a window than on the right, and more in front than behind.
    let sided = |input: ArrayView5<'_, f32>| {
        let (_, _, _, height, width) = input.dim();
        let mut output = input.to_owned();
        for ((_, _, _, j, i), value) in output.indexed_iter_mut() {
            *value = 0.5 + 0.3 * (i as f32 / (width - 1) as f32 - 0.5) + 0.1 * (j as f32 / (height - 1) as f32 - 0.5);
        }
        output
    };
    let (scan, _) = phantom();
    let region = VoxelBox::whole(scan.geometry());
    let plain = Stage { overlap: [0.0; 3], ..liver() };
    let mirrored = Stage { mirror: true, ..plain.clone() };
    let (one_sided, windows) = probabilities(&plain, sided, &scan, &region, &|_| false);
    let (even, four_times) = probabilities(&mirrored, sided, &scan, &region, &|_| false);
    assert!(one_sided.iter().any(|p| (p - 0.5).abs() > 0.1) && even.iter().all(|p| (p - 0.5).abs() < 1e-6));
    assert_eq!(four_times, 4 * windows);
    // What a voxel of the image says stays where it is.
    let (straight, _) = probabilities(&plain, pointwise, &scan, &region, &|_| false);
    let (turned, _) = probabilities(&mirrored, pointwise, &scan, &region, &|_| false);
    assert!(straight.iter().zip(&turned).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn a_region_beyond_the_scan_is_clipped_by_the_liver_stage() {
    let (scan, truth) = phantom();
    let region = VoxelBox::new([0; 3], [100, 100, 100]).unwrap();
    let stage = liver();
    let mut network = Fake::new(stage.network, pointwise);
    let mut run = StageRun { name: StageName::Liver, stage: &stage, network: &mut network };
    let found = hepar_pipeline::liver::segment_liver(&mut run, &scan, &region, false, &Unwatched).unwrap();
    assert_eq!(found.probability, None);
    assert_eq!(found.object.unwrap().voxels().count(), truth.data().iter().filter(|&&label| label > 0).count());
}
