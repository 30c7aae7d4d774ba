//! Labels as DICOM objects, and back.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::open_file;
use hepar_formats::{
    DicomError, LabelOptions, Labels, LesionMeasures, Meaning, Measurements, Provenance, ReadErrorKind, Scan,
    ScanOptions, SegmentationType, SegmentsBy, Warning, files_of_labels, files_of_scan, read_labels, read_labels_like,
    read_labels_of, read_labels_with, read_scan, write_fractional_segmentation, write_measurements, write_segmentation,
    write_structure_set,
};
use hepar_volume::Volume;
use proptest::prelude::*;

use crate::series::{COLUMNS, ROWS, Series, positions, put};

fn made() -> Provenance {
    let made = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    Provenance { version: "1.0".to_owned(), model: "test 1".to_owned(), made }
}

/// Series of every kind of orientation, and one whose gantry was tilted.
fn series() -> Vec<(&'static str, Series)> {
    let of = |orientation: [f64; 6], step: [f64; 3]| {
        let position = |n: usize| std::array::from_fn(|axis| 10.0 - 3.0 * axis as f64 + n as f64 * step[axis]);
        Series { orientation, positions: (0..4).map(position).collect(), ..Series::default() }
    };
    let (c, s) = (0.8, 0.6);
    vec![
        ("axial", Series::default()),
        ("mirrored", of([-1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 2.5])),
        ("upside down", of([1.0, 0.0, 0.0, 0.0, -1.0, 0.0], [0.0, 0.0, 2.5])),
        ("sagittal", of([0.0, 1.0, 0.0, 0.0, 0.0, -1.0], [2.0, 0.0, 0.0])),
        ("oblique", of([c, s, 0.0, 0.0, 0.0, -1.0], [-s * 2.0, c * 2.0, 0.0])),
        ("tilted", of([1.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 1.6, 5.0])),
    ]
}

/// Labels with holes, single voxels, and both labels, by a hash of the index.
fn labels(scan: &Scan, seed: usize) -> Volume<u8> {
    Volume::from_fn(scan.volume.geometry().clone(), |[k, j, i]| {
        let hash = (k * 7919 + j * 104_729 + i * 1_299_709 + seed * 15_485_863) % 997;
        [0, 0, 1, 1, 1, 2][hash % 6]
    })
}

fn write_all(folder: &Path, labels: &Volume<u8>, scan: &Scan, by: SegmentsBy) {
    let source = scan.dicom.as_ref().unwrap();
    for (name, stored) in [("seg.dcm", SegmentationType::Binary), ("labelmap.dcm", SegmentationType::LabelMap)] {
        write_segmentation(&folder.join(name), labels, source, stored, by, &made()).unwrap();
    }
    write_structure_set(&folder.join("rtstruct.dcm"), labels, source, by, &made()).unwrap();
}

#[test]
fn labels_come_back_from_segmentations_and_contours_in_every_orientation() {
    for (name, series) in series() {
        let folder = tempfile::tempdir().unwrap();
        series.write(&folder.path().join("ct"));
        let scan = read_scan(&folder.path().join("ct")).unwrap();
        for by in [SegmentsBy::Label, SegmentsBy::Lesion] {
            let mut labels = labels(&scan, 1);
            if name == "tilted" {
                // What lies beyond the frames, in the corners of the upright volume, is in no object.
                let source = Series::default();
                let shape = labels.shape();
                for ((k, j, _), label) in labels.data_mut().indexed_iter_mut() {
                    // Slices are whole rows apart here.
                    let first = 2 * k;
                    if j < first || j >= first + ROWS {
                        *label = 0;
                    }
                }
                assert_eq!((shape[0], source.positions.len()), (4, 4));
            }
            write_all(folder.path(), &labels, &scan, by);
            for file in ["seg.dcm", "labelmap.dcm", "rtstruct.dcm"] {
                let Labels { volume, warnings, .. } =
                    read_labels_like(&folder.path().join(file), scan.volume.geometry()).unwrap();
                assert_eq!(volume.data(), labels.data(), "{name}, {file}, {by:?}");
                assert!(warnings.is_empty(), "{name}, {file}: {warnings:?}");
            }
        }
    }
}

/// A series of slices at these heights, each shifted to the back by `tilt` millimetres for each one of height.
fn series_at(heights: &[f64], tilt: f64) -> Series {
    let positions = heights.iter().map(|z| [-10.0, -20.0 + tilt * z, 100.0 + z]).collect();
    Series { positions, ..Series::default() }
}

#[test]
fn labels_of_a_series_that_was_mended_come_back_to_where_its_slices_are() {
    // Which slice of the volume each has its labels from, and the first row that each slice of the series has.
    for (name, series, from, first) in [
        ("missing", series_at(&[0.0, 2.0, 4.0, 10.0, 12.0, 14.0], 0.0), &[0, 1, 2, 2, 5, 5, 6, 7][..], [0; 8]),
        ("uneven", series_at(&[0.0, 2.0, 3.4, 6.0, 8.0, 9.2], 0.0), &[0, 1, 2, 3, 4, 5], [0; 8]),
        ("tilted", series_at(&[0.0, 5.0, 10.0, 15.0], 0.25), &[0, 1, 2, 3], [0, 2, 3, 5, 0, 0, 0, 0]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        series.write(&folder.path().join("ct"));
        let scan = read_scan(&folder.path().join("ct")).unwrap();
        assert_eq!(scan.volume.shape()[0], from.len(), "{name}");
        let labels = labels(&scan, 6);
        let expected = Volume::from_fn(labels.geometry().clone(), |[k, j, i]| {
            let is_seen = (first[k]..first[k] + ROWS).contains(&j);
            if is_seen { labels.data()[[from[k], j, i]] } else { 0 }
        });
        write_all(folder.path(), &labels, &scan, SegmentsBy::Label);
        for file in ["seg.dcm", "labelmap.dcm", "rtstruct.dcm"] {
            let read = read_labels_of(&folder.path().join(file), &scan).unwrap();
            assert_eq!((read.volume.data(), &read.warnings[..]), (expected.data(), &[][..]), "{name}, {file}");
        }
        let beside = read_labels(&folder.path().join("rtstruct.dcm")).unwrap();
        assert_eq!(beside.volume.data(), expected.data(), "{name}");
    }
}

#[test]
fn slices_that_are_missing_in_the_ct_are_told_of_where_its_grid_alone_is_known() {
    let folder = tempfile::tempdir().unwrap();
    series_at(&[0.0, 2.0, 4.0, 10.0, 12.0, 14.0], 0.0).write(&folder.path().join("ct"));
    let scan = read_scan(&folder.path().join("ct")).unwrap();
    write_all(folder.path(), &labels(&scan, 6), &scan, SegmentsBy::Label);
    for file in ["seg.dcm", "labelmap.dcm", "rtstruct.dcm"] {
        let read = read_labels_like(&folder.path().join(file), scan.volume.geometry()).unwrap();
        assert_eq!(read.warnings, [Warning::SlicesEmpty { count: 2 }], "{file}");
    }
}

#[test]
fn probabilities_come_back_as_labels_where_they_pass_a_half() {
    for (name, series) in series() {
        if name == "tilted" {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        series.write(&folder.path().join("ct"));
        let scan = read_scan(&folder.path().join("ct")).unwrap();
        let expected = labels(&scan, 1);
        let liver = expected.map(|&label| [0, 200, 255][usize::from(label)]);
        let tumour = expected.map(|&label| [3, 127, 128][usize::from(label)]);
        let path = folder.path().join("probability.dcm");
        let both = [(Meaning::Liver, &liver), (Meaning::Tumour, &tumour)];
        write_fractional_segmentation(&path, &both, scan.dicom.as_ref().unwrap(), &made()).unwrap();
        let read = read_labels_like(&path, scan.volume.geometry()).unwrap();
        assert_eq!((read.volume.data(), &read.warnings[..]), (expected.data(), &[Warning::FractionsCut][..]), "{name}");
        let object = open_file(&path).unwrap();
        let text = |tag| object.element(tag).unwrap().to_str().unwrap().trim().to_owned();
        assert_eq!(text(tags::SEGMENTATION_FRACTIONAL_TYPE), "PROBABILITY");
        // Both are everywhere, or in no slice at all and then in one of their own.
        let nowhere = expected.map(|_| 0);
        let one = [(Meaning::Liver, &nowhere)];
        write_fractional_segmentation(&path, &one, scan.dicom.as_ref().unwrap(), &made()).unwrap();
        let read = read_labels_like(&path, scan.volume.geometry()).unwrap();
        assert_eq!(read.volume.data(), nowhere.data(), "{name}");
    }
}

#[test]
fn contours_find_their_series_in_the_folder_and_segmentations_need_none() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write(folder.path());
    let scan = read_scan(folder.path()).unwrap();
    let labels = labels(&scan, 2);
    write_all(folder.path(), &labels, &scan, SegmentsBy::Label);
    assert_eq!(read_labels(&folder.path().join("rtstruct.dcm")).unwrap().volume, labels);
    assert_eq!(read_labels(&folder.path().join("seg.dcm")).unwrap().volume.data(), labels.data());
    let alone = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join("rtstruct.dcm"), alone.path().join("rtstruct.dcm")).unwrap();
    let error = read_labels(&alone.path().join("rtstruct.dcm")).unwrap_err();
    assert!(matches!(error.kind(), ReadErrorKind::Dicom(DicomError::NoGrid)));
}

#[test]
fn contours_find_their_series_in_the_folder_when_its_uid_was_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write_with(folder.path(), |_, data| {
        data.remove_element(tags::SERIES_INSTANCE_UID);
    });
    let scan = read_scan(folder.path()).unwrap();
    let labels = labels(&scan, 2);
    write_all(folder.path(), &labels, &scan, SegmentsBy::Label);
    assert_eq!(read_labels(&folder.path().join("rtstruct.dcm")).unwrap().volume, labels);
}

/// A scan of slices at `positions`, and beside it a structure set in which slice k has `label(k)`.
fn drawn(positions: Vec<[f64; 3]>, label: impl Fn(usize) -> u8) -> (tempfile::TempDir, Scan) {
    let folder = tempfile::tempdir().unwrap();
    Series { positions, ..Series::default() }.write(&folder.path().join("ct"));
    let scan = read_scan(&folder.path().join("ct")).unwrap();
    let labels = Volume::from_fn(scan.volume.geometry().clone(), |[k, j, i]| u8::from(j > 1 && i > 1) * label(k));
    write_all(folder.path(), &labels, &scan, SegmentsBy::Label);
    (folder, scan)
}

fn put_on_other_slices(drawn_at: Vec<[f64; 3]>, grid_at: Vec<[f64; 3]>) -> String {
    let (folder, _) = drawn(drawn_at, |_| 1);
    let (_other, scan) = drawn(grid_at, |_| 0);
    let read = read_labels_like(&folder.path().join("rtstruct.dcm"), scan.volume.geometry());
    let error = read.unwrap_err();
    assert!(matches!(error.kind(), ReadErrorKind::Dicom(DicomError::OtherGrid(_))));
    crate::series::sentence(&error)
}

#[test]
fn contours_of_thin_slices_do_not_cancel_one_another_on_thick_ones() {
    // Planes between the slices, two on each side of every slice, all half a slice away.
    let above = |mm: f64, positions: Vec<[f64; 3]>| positions.into_iter().map(|[x, y, z]| [x, y, z + mm]).collect();
    for grid in [positions(6, 2.0), above(0.5, positions(6, 2.0)), above(0.5, positions(12, 1.0))] {
        let said = put_on_other_slices(positions(12, 1.0), grid);
        assert!(said.contains("do not lie in the slices") && said.contains("Take the grid of the CT"), "{said}");
    }
}

#[test]
fn contours_of_thick_slices_do_not_make_an_organ_of_every_third_thin_one() {
    let said = put_on_other_slices(positions(4, 3.0), positions(12, 1.0));
    assert!(said.starts_with("its contours are 3 slices apart on the grid"), "{said}");
}

#[test]
fn contours_on_some_slices_of_their_own_grid_are_read() {
    let skipped = |k: usize| u8::from(k != 4);
    let lesions = |k: usize| if [1, 2, 9].contains(&k) { 2 } else { 0 };
    let two = |k: usize| if [1, 9].contains(&k) { 2 } else { 0 };
    let of_liver = |k: usize| if [2, 5, 8].contains(&k) { 2 } else { 1 };
    for label in [&skipped as &dyn Fn(usize) -> u8, &lesions, &two, &of_liver] {
        let (folder, scan) = drawn(positions(12, 1.0), label);
        let read = read_labels_like(&folder.path().join("rtstruct.dcm"), scan.volume.geometry()).unwrap();
        assert!(read.volume.data().indexed_iter().all(|((k, j, i), v)| *v == u8::from(j > 1 && i > 1) * label(k)));
    }
}

#[test]
fn contours_longer_than_64_kilobytes_come_back() {
    const SIZE: u16 = 96;
    let folder = tempfile::tempdir().unwrap();
    let series = Series::default();
    series.write_with(&folder.path().join("ct"), |n, data| {
        for tag in [tags::ROWS, tags::COLUMNS] {
            data.put(DataElement::new(tag, VR::US, PrimitiveValue::from(SIZE)));
        }
        let pixels = vec![100 * n as u16; usize::from(SIZE).pow(2)];
        data.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    });
    let scan = read_scan(&folder.path().join("ct")).unwrap();
    // A mesh, whose outline goes round each of its holes.
    let labels =
        Volume::from_fn(scan.volume.geometry().clone(), |[k, j, i]| u8::from(k == 1 && (j % 2 == 0 || i % 2 == 0)));
    let path = folder.path().join("rtstruct.dcm");
    write_structure_set(&path, &labels, scan.dicom.as_ref().unwrap(), SegmentsBy::Label, &made()).unwrap();
    assert_eq!(read_labels_of(&path, &scan).unwrap().volume.data(), labels.data());
    // As programs have to store them that say how values are represented.
    let mut longest = 0;
    let mut data = open_file(&path).unwrap().into_inner();
    data.update_value(tags::ROI_CONTOUR_SEQUENCE, |structures| {
        for structure in structures.items_mut().unwrap().iter_mut() {
            structure.update_value(tags::CONTOUR_SEQUENCE, |contours| {
                for contour in contours.items_mut().unwrap().iter_mut() {
                    let mut text = contour.element(tags::CONTOUR_DATA).unwrap().to_str().unwrap().into_owned();
                    longest = longest.max(text.len());
                    if text.len() % 2 == 1 {
                        text.push(' ');
                    }
                    let bytes = PrimitiveValue::U8(text.into_bytes().into());
                    contour.put(DataElement::new(tags::CONTOUR_DATA, VR::UN, bytes));
                }
            });
        }
    });
    assert!(longest > 65_535, "{longest} bytes");
    let unknown = folder.path().join("unknown.dcm");
    series.save(&unknown, data);
    assert_eq!(read_labels_of(&unknown, &scan).unwrap().volume.data(), labels.data());
}

#[test]
fn slices_further_apart_than_they_are_thick_leave_no_holes() {
    // What a segmentation says of its slices, which are 2.5 mm apart, and those that something is drawn on.
    for (thickness, is_stated, drawn) in [
        ("1.25", false, &[3, 4, 5, 6][..]),
        ("1.25", false, &[3, 4, 5, 8, 9]),
        ("5", false, &[3, 4]),
        ("2.5", false, &[0, 4, 12]),
        ("1.25", true, &[0, 4, 12]),
        ("1.25", true, &[3, 5]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        Series { positions: positions(13, 2.5), ..Series::default() }.write_with(
            &folder.path().join("ct"),
            |_, data| {
                put(data, tags::SLICE_THICKNESS, VR::DS, thickness);
            },
        );
        let scan = read_scan(&folder.path().join("ct")).unwrap();
        let labels = Volume::from_fn(scan.volume.geometry().clone(), |[k, _, _]| 2 * u8::from(drawn.contains(&k)));
        write_all(folder.path(), &labels, &scan, SegmentsBy::Label);
        let mut object = open_file(folder.path().join("seg.dcm")).unwrap();
        object.update_value(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, |groups| {
            groups.items_mut().unwrap()[0].update_value(tags::PIXEL_MEASURES_SEQUENCE, |measures| {
                if !is_stated {
                    measures.items_mut().unwrap()[0].remove_element(tags::SPACING_BETWEEN_SLICES);
                }
            });
        });
        let path = folder.path().join("less.dcm");
        object.write_to_file(&path).unwrap();
        let volume = read_labels(&path).unwrap().volume;
        let said = format!("{thickness} mm thick, {drawn:?}");
        assert!((volume.geometry().spacing()[0] - 2.5).abs() < 1e-9, "{said}: {:?}", volume.geometry().spacing());
        assert_eq!(volume.shape()[0], drawn[drawn.len() - 1] - drawn[0] + 1, "{said}");
        assert_eq!(volume.data().iter().filter(|&&label| label == 2).count(), drawn.len() * ROWS * COLUMNS, "{said}");
    }
}

#[test]
fn nothing_found_is_a_valid_object_with_a_frame_for_every_segment() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write(&folder.path().join("ct"));
    let scan = read_scan(&folder.path().join("ct")).unwrap();
    let nothing = scan.volume.map(|_| 0u8);
    write_all(folder.path(), &nothing, &scan, SegmentsBy::Label);
    let object = open_file(folder.path().join("seg.dcm")).unwrap();
    assert_eq!(object.element(tags::NUMBER_OF_FRAMES).unwrap().to_int::<u32>().unwrap(), 2);
    for file in ["seg.dcm", "labelmap.dcm", "rtstruct.dcm"] {
        let read = read_labels_like(&folder.path().join(file), scan.volume.geometry()).unwrap();
        assert_eq!(read.volume.data(), nothing.data(), "{file}");
    }
}

#[test]
fn the_same_labels_give_the_same_bytes_and_uids_and_others_give_others() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write(&folder.path().join("ct"));
    let scan = read_scan(&folder.path().join("ct")).unwrap();
    let write = |name: &str, labels: &Volume<u8>| {
        let out = folder.path().join(name);
        std::fs::create_dir(&out).unwrap();
        write_all(&out, labels, &scan, SegmentsBy::Label);
        ["seg.dcm", "labelmap.dcm", "rtstruct.dcm"].map(|file| std::fs::read(out.join(file)).unwrap())
    };
    let uid = |name: &str| {
        let object = open_file(folder.path().join(name).join("seg.dcm")).unwrap();
        object.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap().into_owned()
    };
    assert_eq!(write("a", &labels(&scan, 1)), write("b", &labels(&scan, 1)));
    write("c", &labels(&scan, 3));
    assert_eq!(uid("a"), uid("b"));
    assert_ne!(uid("a"), uid("c"));
}

#[test]
fn objects_belong_to_the_patient_and_the_study_and_say_what_made_them() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write_with(&folder.path().join("ct"), |_, data| {
        put(data, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100");
        put(data, tags::PATIENT_NAME, VR::PN, "Müller^Jörg");
    });
    let scan = read_scan(&folder.path().join("ct")).unwrap();
    write_all(folder.path(), &labels(&scan, 1), &scan, SegmentsBy::Label);
    let lesion = LesionMeasures { volume_ml: 1.5, long_axis_mm: 12.0, short_axis_mm: 8.0, mean_hu: 60.0 };
    let measured = Measurements { liver_ml: 1500.0, tumour_ml: Some(1.5), lesions: vec![lesion] };
    let report = folder.path().join("sr.dcm");
    write_measurements(&report, &measured, scan.dicom.as_ref().unwrap(), None, &made()).unwrap();
    for file in ["seg.dcm", "labelmap.dcm", "rtstruct.dcm", "sr.dcm"] {
        let object = open_file(folder.path().join(file)).unwrap();
        let text = |tag| object.element(tag).unwrap().to_str().unwrap().trim().to_owned();
        assert_eq!(text(tags::PATIENT_NAME), "Müller^Jörg", "{file}");
        assert_eq!(text(tags::STUDY_INSTANCE_UID), "1.2.3.4");
        assert_eq!((text(tags::SOFTWARE_VERSIONS).as_str(), text(tags::MANUFACTURER).as_str()), ("hepar 1.0", "hepar"));
    }
}

#[test]
fn names_in_japanese_and_korean_are_those_of_the_source() {
    // Bytes as Latin-1, as which they are written.
    for (sets, stored, name) in [
        ("\\ISO 2022 IR 87", "Yamada^Tarou=\u{1b}$B;3ED\u{1b}(B^\u{1b}$BB@O:\u{1b}(B", "Yamada^Tarou=山田^太郎"),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            "\u{d4}\u{cf}\u{c0}\u{de}^\u{c0}\u{db}\u{b3}=\u{1b}$B;3ED\u{1b}(J^\u{1b}$BB@O:\u{1b}(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        (
            "\\ISO 2022 IR 149",
            "Hong^Gildong=\u{1b}$)C\u{fb}\u{f3}^\u{1b}$)C\u{d1}\u{ce}\u{d4}\u{d7}",
            "Hong^Gildong=洪^吉洞",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        Series::default().write_with(&folder.path().join("ct"), |_, data| {
            put(data, tags::SPECIFIC_CHARACTER_SET, VR::CS, sets);
            put(data, tags::PATIENT_NAME, VR::PN, stored);
        });
        let scan = read_scan(&folder.path().join("ct")).unwrap();
        assert_eq!(scan.dicom.as_ref().unwrap().patient()[0], ("Patient", name.to_owned()));
        write_all(folder.path(), &labels(&scan, 1), &scan, SegmentsBy::Label);
        for file in ["seg.dcm", "labelmap.dcm", "rtstruct.dcm"] {
            let object = open_file(folder.path().join(file)).unwrap();
            assert_eq!(object.element(tags::PATIENT_NAME).unwrap().to_str().unwrap().trim(), name, "{file}");
        }
    }
}

#[test]
fn segments_without_known_codes_keep_their_numbers_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write(&folder.path().join("ct"));
    let scan = read_scan(&folder.path().join("ct")).unwrap();
    let labels = labels(&scan, 1);
    let path = folder.path().join("seg.dcm");
    let source = scan.dicom.as_ref().unwrap();
    write_segmentation(&path, &labels, source, SegmentationType::LabelMap, SegmentsBy::Label, &made()).unwrap();
    let rename = |names: [&str; 2]| {
        let mut object = open_file(&path).unwrap();
        object.update_value(tags::SEGMENT_SEQUENCE, |value| {
            for (item, name) in value.items_mut().unwrap().iter_mut().zip(names) {
                put(item, tags::SEGMENT_LABEL, VR::LO, name);
                item.remove_element(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
            }
        });
        let renamed = folder.path().join(format!("{}.dcm", names[0]));
        object.write_to_file(&renamed).unwrap();
        read_labels_like(&renamed, scan.volume.geometry()).unwrap()
    };
    let unknown = rename(["Spleen", "Kidney"]);
    assert_eq!((unknown.volume.data(), &unknown.warnings[..]), (labels.data(), &[Warning::SegmentsByNumber][..]));
    let by_name = rename(["Liver", "Kidney"]);
    assert_eq!(by_name.warnings, [Warning::SegmentsLeftOut { names: vec!["Kidney".to_owned()] }]);
    assert!(by_name.volume.data().iter().zip(labels.data()).all(|(a, b)| *a == u8::from(*b == 1)));
}

#[test]
fn patients_of_3d_ircadb_are_read_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let patient = folder.path().join("3Dircadb1.99");
    let series = Series { positions: positions(5, 2.0), ..Series::default() };
    series.write(&patient.join("PATIENT_DICOM"));
    // Masks are CT images of 8 bits in the same series.
    let mask = |name: &str, inside: &dyn Fn(usize, usize) -> bool| {
        series.write_with(&patient.join("MASKS_DICOM").join(name), |n, data| {
            for (tag, value) in [(tags::BITS_ALLOCATED, 8u16), (tags::BITS_STORED, 8), (tags::HIGH_BIT, 7)] {
                data.put(dicom_core::DataElement::new(tag, VR::US, dicom_core::PrimitiveValue::from(value)));
            }
            let bytes: Vec<u8> = (0..ROWS * COLUMNS).map(|at| if inside(n, at) { 255 } else { 0 }).collect();
            let pixels = dicom_core::PrimitiveValue::U8(bytes.into());
            data.put(dicom_core::DataElement::new(tags::PIXEL_DATA, VR::OB, pixels));
        });
    };
    mask("liver", &|n, at| (1..4).contains(&n) && at > 7);
    mask("livertumor01", &|n, at| n == 2 && at == 12);
    mask("livertumors2", &|n, at| n == 3 && at == 20);
    mask("liverkyst", &|n, at| n == 1 && at == 15);
    mask("bone", &|_, at| at == 0);
    let (scan, labels) = (read_scan(&patient).unwrap(), read_labels(&patient).unwrap());
    assert_eq!(scan.volume.geometry(), labels.volume.geometry());
    assert_eq!(scan.volume.shape(), [5, ROWS, COLUMNS]);
    for ((k, j, i), label) in labels.volume.data().indexed_iter() {
        let at = j * COLUMNS + i;
        let expected = match (k, at) {
            (2, 12) | (3, 20) => 2,
            (1..4, 8..) => 1,
            _ => 0,
        };
        assert_eq!(*label, expected, "slice {k}, pixel {at}");
    }
    let options = LabelOptions { cysts_are_tumours: true, ..LabelOptions::default() };
    let with_cysts = read_labels_with(&patient, &options).unwrap().volume;
    let mut expected = labels.volume.clone();
    expected.data_mut()[[1, 15 / COLUMNS, 15 % COLUMNS]] = 2;
    assert_eq!(with_cysts, expected);
    let of_scan = files_of_scan(&patient, &ScanOptions::default()).unwrap();
    assert!(of_scan.len() == 5 && of_scan.iter().all(|file| file.starts_with(patient.join("PATIENT_DICOM"))));
    assert_eq!(files_of_labels(&patient).unwrap().len(), 5 + 5 * 5);
    assert!(hepar_formats::is_patient_folder(&patient) && !hepar_formats::is_patient_folder(folder.path()));
}

#[test]
fn a_ct_is_no_labels() {
    let folder = tempfile::tempdir().unwrap();
    let file = Series::default().write(folder.path()).remove(0);
    let said = crate::series::sentence(&read_labels(&file).unwrap_err());
    let class = uids::CT_IMAGE_STORAGE;
    assert_eq!(said, format!("it is CT (class {class}), where a segmentation or a structure set is needed"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_damaged_segmentation_or_structure_set_gives_labels_or_a_sentence(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..10),
        which in 0usize..3,
    ) {
        let folder = tempfile::tempdir().unwrap();
        Series::default().write(folder.path());
        let scan = read_scan(folder.path()).unwrap();
        write_all(folder.path(), &labels(&scan, 5), &scan, SegmentsBy::Label);
        let path = folder.path().join(["seg.dcm", "labelmap.dcm", "rtstruct.dcm"][which]);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        std::fs::write(&path, &bytes).unwrap();
        for read in [read_labels(&path), read_labels_like(&path, scan.volume.geometry())] {
            match read {
                Ok(labels) => prop_assert!(labels.volume.data().len() < 1 << 24),
                Err(error) => prop_assert!(error.kind().to_string().len() > 5),
            }
        }
    }
}
