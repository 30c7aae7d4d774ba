//! What is written is what is read, for every type of number, byte order and scaling.

mod by_hand;

use by_hand::{File, gzip, save, saved, some_hounsfield_units};
use hepar_formats::{
    ByteOrder, Datatype, GridHeader, ScanOptions, Warning, WriteErrorKind, files_of_scan, has_unit_grid, inspect,
    read_labels, read_scan, write_labels, write_scan,
};
use hepar_volume::{Geometry, Volume};
use proptest::prelude::*;

/// Stored numbers of a type as bytes, and as numbers.
fn stored(datatype: i16, big_endian: bool, seeds: &[i32]) -> (Vec<u8>, Vec<f64>) {
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    macro_rules! store {
        ($number:ty) => {
            for seed in seeds {
                let v = (f64::from(*seed) / 16.0) as $number;
                bytes.extend(if big_endian { v.to_be_bytes() } else { v.to_le_bytes() });
                values.push(v as f64);
            }
        };
    }
    match datatype {
        2 => store!(u8),
        4 => store!(i16),
        8 => store!(i32),
        16 => store!(f32),
        64 => store!(f64),
        256 => store!(i8),
        512 => store!(u16),
        768 => store!(u32),
        1024 => store!(i64),
        _ => store!(u64),
    }
    (bytes, values)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn intensities_are_slope_times_stored_plus_intercept(
        datatype in prop::sample::select(vec![2i16, 4, 8, 16, 64, 256, 512, 768, 1024, 1280]),
        big_endian: bool,
        version_2: bool,
        compressed: bool,
        scaling in prop::option::of((-50i32..50, -2000i32..2000)),
        shape in prop::array::uniform3(2i64..7),
        seeds in prop::collection::vec(-600_000i32..600_000, 216),
        padding in 0usize..40,
    ) {
        let count = shape.iter().product::<i64>() as usize;
        let (bytes, values) = stored(datatype, big_endian, &seeds[..count]);
        let mut file = File::new(shape, datatype);
        if version_2 {
            file = file.version_2();
        }
        file.big_endian = big_endian;
        // Sixteenths are exact in single precision.
        let (slope, inter) = scaling.map_or((0.0, 99.0), |(s, i)| (f64::from(s) / 16.0, f64::from(i) / 16.0));
        (file.slope, file.inter) = (slope, inter);
        file.vox_offset += padding as f64;
        let mut content = file.with(&[vec![7; padding], bytes].concat());
        if compressed {
            content = gzip(&content);
        }
        let (_folder, path) = saved("scan", &content);
        let expected: Vec<i16> = values
            .iter()
            .map(|v| if slope == 0.0 { *v } else { v * slope + inter })
            .map(|v| v.round().clamp(-32768.0, 32767.0) as i16)
            .collect();
        let distinct: std::collections::BTreeSet<i16> = expected.iter().copied().collect();
        prop_assume!(distinct.len() > 8);
        let scan = read_scan(&path).unwrap();
        let [i, j, k] = shape.map(|n| n as usize);
        prop_assert_eq!(scan.volume.shape(), [k, j, i]);
        prop_assert_eq!(scan.volume.data().iter().copied().collect::<Vec<_>>(), expected);
        let info = inspect(&path).unwrap();
        prop_assert_eq!(info.byte_order == ByteOrder::Big, big_endian);
        prop_assert_eq!(info.compressed, compressed);
        prop_assert_eq!(info.scaling, if slope == 0.0 { (1.0, 0.0) } else { (slope, inter) });
    }

    #[test]
    fn labels_and_scans_come_back_with_their_grid_to_the_bit(
        srow in prop::array::uniform3(prop::array::uniform4(-3.0f64..3.0)),
        offset in prop::array::uniform3(-900.0f64..900.0),
        version_2: bool,
        units in 1u8..4,
        shape in prop::array::uniform3(2usize..6),
        seed: u8,
    ) {
        let [k, j, i] = shape;
        let mut file = File::new([i as i64, j as i64, k as i64], 4);
        if version_2 {
            file = file.version_2();
        }
        file.units = units;
        file.srow = std::array::from_fn(|row| [srow[row][0], srow[row][1], srow[row][2], offset[row]]);
        let voxels = by_hand::shorts((0..i * j * k).map(|n| n as i16 * 9 - 1000));
        let (folder, path) = saved("scan.nii", &file.with(&voxels));
        // An affine that is nearly singular is refused.
        let Ok(scan) = read_scan(&path) else { return Ok(()) };
        let label = |[k, j, i]: [usize; 3]| seed.wrapping_add((i * 3 + j * 5 + k) as u8);
        let labels = Volume::from_fn(scan.volume.geometry().clone(), label);
        let (labels_path, scan_path) = (folder.path().join("labels.nii.gz"), folder.path().join("again.nii"));
        write_labels(&labels_path, &labels, &scan.grid).unwrap();
        write_scan(&scan_path, &scan.volume, &scan.grid).unwrap();
        let read = read_labels(&labels_path).unwrap();
        prop_assert_eq!(&read.volume, &labels);
        prop_assert_eq!(&read_scan(&scan_path).unwrap().volume, &scan.volume);
        prop_assert_eq!(inspect(&labels_path).unwrap().format == "NIfTI-2", version_2);
    }
}

#[test]
fn labels_may_be_floats_or_scaled_bytes() {
    let floats: Vec<u8> = (0..12).flat_map(|n| (f64::from(n % 3) as f32).to_be_bytes()).collect();
    let mut file = File::new([3, 2, 2], 16);
    file.big_endian = true;
    let (_folder, path) = saved("labels.nii", &file.with(&floats));
    let expected: Vec<u8> = (0..12).map(|n| n % 3).collect();
    assert_eq!(read_labels(&path).unwrap().volume.data().iter().copied().collect::<Vec<_>>(), expected);

    let bytes: Vec<u8> = (0..12).map(|n| (n % 2) * 255).collect();
    let mut file = File::new([3, 2, 2], 2);
    file.slope = 1.0 / 255.0;
    let (_folder, path) = saved("labels.nii", &file.with(&bytes));
    let expected: Vec<u8> = (0..12).map(|n| n % 2).collect();
    assert_eq!(read_labels(&path).unwrap().volume.data().iter().copied().collect::<Vec<_>>(), expected);
}

#[test]
fn a_pair_of_header_and_voxels_is_read_from_either_half() {
    for (header_name, voxels_name, zip) in
        [("ct.hdr", "ct.img", false), ("ct.hdr.gz", "ct.img.gz", true), ("ct.hdr", "ct.img.gz", true)]
    {
        let mut file = File::new([3, 2, 2], 4);
        (file.pair, file.vox_offset) = (true, 0.0);
        let folder = tempfile::tempdir().unwrap();
        let voxels = some_hounsfield_units(12);
        let header = save(
            folder.path(),
            header_name,
            &if header_name.ends_with("gz") { gzip(&file.header()) } else { file.header() },
        );
        let voxels = save(folder.path(), voxels_name, &if zip { gzip(&voxels) } else { voxels });
        let by_header = read_scan(&header).unwrap();
        assert_eq!(by_header.volume.data()[[1, 1, 2]], -890);
        assert_eq!(read_scan(&voxels).unwrap().volume, by_header.volume);
        assert!(inspect(&header).unwrap().pair);
        // What the scan is known by is of both.
        let files = [header.clone(), voxels.clone()];
        for path in &files {
            assert_eq!(files_of_scan(path, &ScanOptions::default()).unwrap(), files);
        }
    }
}

#[test]
fn written_bytes_are_the_same_on_every_run_and_carry_no_name() {
    let geometry = Geometry::axis_aligned([20, 30, 40], [2.0, 0.8, 0.8]).unwrap();
    let labels = Volume::from_fn(geometry.clone(), |[k, j, i]| u8::from(k * j > 5 * i));
    let grid = GridHeader::from_geometry(&geometry);
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.nii.gz"), folder.path().join("other.nii.gz"));
    write_labels(&a, &labels, &grid).unwrap();
    write_labels(&b, &labels, &grid).unwrap();
    let bytes = std::fs::read(&a).unwrap();
    assert_eq!(bytes, std::fs::read(&b).unwrap());
    assert_eq!(bytes[3..8], [0; 5], "no flags, no time");
}

#[test]
fn a_view_of_another_memory_order_is_written_in_the_order_of_the_file() {
    let geometry = Geometry::axis_aligned([2, 3, 4], [2.0, 0.8, 0.8]).unwrap();
    let turned = ndarray::Array3::from_shape_fn((4, 3, 2), |(i, j, k)| (k * 12 + j * 4 + i) as u8).reversed_axes();
    assert!(!turned.is_standard_layout());
    let labels = Volume::new(turned, geometry.clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.nii");
    write_labels(&path, &labels, &GridHeader::from_geometry(&geometry)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap()[352..], (0..24).collect::<Vec<u8>>());
}

#[test]
fn an_axis_too_long_for_nifti_1_is_written_as_nifti_2() {
    let geometry = Geometry::axis_aligned([2, 2, 40_000], [1.0; 3]).unwrap();
    let labels = Volume::from_fn(geometry.clone(), |[_, _, i]| (i % 7) as u8);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.nii.gz");
    write_labels(&path, &labels, &GridHeader::from_geometry(&geometry)).unwrap();
    assert_eq!(inspect(&path).unwrap().format, "NIfTI-2");
    assert_eq!(read_labels(&path).unwrap().volume, labels);
}

#[test]
fn labels_of_another_shape_or_place_or_name_are_not_written() {
    let geometry = Geometry::axis_aligned([3, 3, 3], [1.0; 3]).unwrap();
    let grid = GridHeader::from_geometry(&geometry);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.nii.gz");
    let other = Volume::filled(Geometry::axis_aligned([3, 3, 2], [1.0; 3]).unwrap(), 0u8);
    let error = write_labels(&path, &other, &grid).unwrap_err();
    assert!(matches!(error.kind(), WriteErrorKind::Shape { .. }));
    let moved = Volume::filled(geometry.window([0, 0, 1], [3, 3, 3]).unwrap(), 0u8);
    assert!(matches!(write_labels(&path, &moved, &grid).unwrap_err().kind(), WriteErrorKind::Elsewhere));
    let labels = Volume::filled(geometry, 0u8);
    let error = write_labels(&folder.path().join("labels.png"), &labels, &grid).unwrap_err();
    assert_eq!(
        by_hand::sentence(&error).split(": ").last().unwrap(),
        "the name must end in .nii, .nii.gz, .nrrd or .mha"
    );
    let error = write_labels(&folder.path().join("missing/labels.nii"), &labels, &grid).unwrap_err();
    assert!(matches!(error.kind(), WriteErrorKind::Io(_)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_header_is_described_without_reading_voxels() {
    let mut file = File::new([40, 30, 20], 2);
    file.dim = [4, 40, 30, 20, 5, 1, 1, 1];
    (file.slope, file.inter) = (1.5, -1024.0);
    let (_folder, path) = saved("no-voxels.nii", &file.header());
    let info = inspect(&path).unwrap();
    assert_eq!(info.format, "NIfTI-1");
    assert_eq!(info.dims, [40, 30, 20, 5]);
    assert_eq!(info.datatype, Datatype::U8);
    assert_eq!(info.scaling, (1.5, -1024.0));
    assert_eq!(info.geometry.spacing(), [2.5, 0.75, 0.75]);
    assert_eq!(info.orientation, "LPS");
    let position = info.position.unwrap();
    assert_eq!((position.sform_code, position.qform_code), (1, 0));
    assert!(!info.compressed && !info.pair && info.warnings.is_empty());
}

fn read_with(change: impl FnOnce(&mut File)) -> hepar_formats::Scan {
    let mut file = File::new([3, 2, 2], 4);
    change(&mut file);
    let (_folder, path) = saved("ct.nii", &file.with(&some_hounsfield_units(12)));
    read_scan(&path).unwrap()
}

#[test]
fn a_header_without_orientation_gives_a_warning_and_axes_along_the_spacing() {
    let scan = read_with(|file| file.sform_code = 0);
    assert_eq!(scan.warnings, [Warning::NoOrientation { axes: "RAS".to_owned() }]);
    assert_eq!(scan.volume.geometry(), &Geometry::axis_aligned([2, 2, 3], [2.5, 0.75, 0.75]).unwrap());
}

#[test]
fn a_header_that_nobody_may_have_filled_in_gives_a_warning() {
    let mut file = File::new([3, 2, 2], 4);
    file.pixdim = [1.0; 4];
    file.srow = [[1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
    let (_folder, path) = saved("ct.nii", &file.with(&some_hounsfield_units(12)));
    assert_eq!(read_scan(&path).unwrap().warnings, [Warning::UnitGrid]);
    assert_eq!(inspect(&path).unwrap().warnings, [Warning::UnitGrid]);
    assert!(has_unit_grid(&path).unwrap());
    file.srow[2][3] = -500.0;
    assert!(read_with(|moved| *moved = file).warnings.is_empty(), "it says where the scan lies");
}

#[test]
fn forms_that_disagree_by_more_than_half_a_voxel_give_a_warning() {
    let with_qoffset = |x: f64| {
        read_with(|file| {
            // A half turn about z: i to the left, j to the back.
            (file.qform_code, file.quatern, file.qoffset) = (1, [0.0, 0.0, 1.0], [x, 90.0, -500.0]);
        })
    };
    assert!(with_qoffset(100.0).warnings.is_empty());
    assert!(with_qoffset(100.3).warnings.is_empty());
    let scan = with_qoffset(101.5);
    assert_eq!(scan.warnings.len(), 1);
    assert_eq!(scan.warnings[0].to_string(), "sform and qform of the header differ by 2.0 voxels; the sform is used");
    assert_eq!(scan.volume.geometry().affine()[0][3], 100.0);
}

#[test]
fn metres_and_micrometres_become_millimetres() {
    for (units, factor, name) in [(1, 1e3, "metres"), (3, 1e-3, "micrometres")] {
        let scan = read_with(|file| {
            file.units = units;
            file.srow = file.srow.map(|row| row.map(|v| v / factor));
        });
        let spacing = scan.volume.geometry().spacing();
        assert!((spacing[0] - 2.5).abs() < 1e-6, "{spacing:?}");
        assert_eq!(scan.warnings, [Warning::UnitsConverted { from: name }]);
    }
    assert!(read_with(|file| file.units = 0).warnings.is_empty(), "no unit means millimetres");
    let scan = read_with(|file| (file.units, file.srow) = (0, file.srow.map(|row| row.map(|v| v / 1e3))));
    assert!(matches!(scan.warnings[..], [Warning::UnitsAssumed { code: 0, .. }]));
}

#[test]
fn a_spacing_that_is_none_is_replaced_by_that_of_the_sform_in_what_is_written() {
    let scan = read_with(|file| (file.pixdim, file.qform_code) = ([1.0, 0.0, f64::NAN, -1.0], 1));
    assert!(matches!(scan.warnings[..], [Warning::SpacingIgnored { .. }]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.nii");
    write_scan(&path, &scan.volume, &scan.grid).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let pixdim = |n: usize| f32::from_le_bytes(*bytes[76 + 4 * n..].first_chunk().unwrap());
    assert_eq!([pixdim(1), pixdim(2), pixdim(3)], [0.75, 0.75, 2.5]);
    let again = read_scan(&path).unwrap();
    assert!(again.warnings.is_empty());
    assert_eq!(again.volume, scan.volume);
}
