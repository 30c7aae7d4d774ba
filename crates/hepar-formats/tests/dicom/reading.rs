use std::io::Write;
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use hepar_formats::{ScanOptions, Verdict, Warning, files_of_scan, inspect, list_series, read_scan, read_scan_with};

use crate::series::{COLUMNS, ROWS, Series, intensity, positions, put, sentence};

fn strict() -> ScanOptions {
    ScanOptions { strict: true, ..ScanOptions::default() }
}

#[test]
fn a_folder_gives_the_volume_whatever_the_files_are_called() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write(&folder.path().join("CD/A/B"));
    std::fs::write(folder.path().join("AUTORUN.INF"), "[autorun]").unwrap();
    let scan = read_scan(folder.path()).unwrap();
    assert_eq!(scan.volume.shape(), [4, ROWS, COLUMNS]);
    assert!(scan.volume.data().indexed_iter().all(|((k, j, i), v)| *v == intensity(k, j, i)));
    // LPS to RAS: x and y change their sign.
    assert_eq!(scan.volume.geometry().to_world([1.0, 0.0, 0.0]).0, [10.0, 20.0, 102.5]);
    assert_eq!(scan.volume.geometry().to_world([0.0, 1.0, 1.0]).0, [9.3, 19.2, 100.0]);
    assert!(scan.warnings.iter().all(|w| matches!(w, Warning::NotHounsfield { .. })), "{:?}", scan.warnings);
    let source = scan.dicom.unwrap();
    assert_eq!((source.slices(), source.series_uid()), (4, "1.2.3.4.1"));
    let files = files_of_scan(folder.path(), &ScanOptions::default()).unwrap();
    assert_eq!(files.len(), 4, "{files:?}");
    assert_eq!(source.name(), "2 \"Abdomen\"");
}

fn write_zip(archive: &Path, files: &[PathBuf]) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(archive).unwrap());
    for file in files {
        let name = format!("A/{}", file.file_name().unwrap().to_str().unwrap());
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&std::fs::read(file).unwrap()).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn a_zip_archive_gives_the_same_volume_as_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let files = Series::default().write(&folder.path().join("series"));
    let archive = folder.path().join("study.zip");
    write_zip(&archive, &files);
    let (from_zip, from_folder) = (read_scan(&archive).unwrap(), read_scan(&folder.path().join("series")).unwrap());
    assert_eq!(from_zip.volume, from_folder.volume);
    // The archives of a patient of 3D-IRCADb: what the scan is known by is not empty.
    let patient = folder.path().join("3Dircadb1.98");
    std::fs::create_dir(&patient).unwrap();
    write_zip(&patient.join("PATIENT_DICOM.zip"), &files);
    write_zip(&patient.join("MASKS_DICOM.zip"), &files);
    let of_scan = files_of_scan(&patient, &ScanOptions::default()).unwrap();
    assert_eq!(of_scan, [patient.join("PATIENT_DICOM.zip")]);
}

#[test]
fn every_way_to_write_a_data_set_gives_the_same_volume() {
    let folder = tempfile::tempdir().unwrap();
    let expected = {
        let explicit = folder.path().join("explicit");
        Series::default().write(&explicit);
        read_scan(&explicit).unwrap().volume
    };
    for (name, syntax) in [("implicit", uids::IMPLICIT_VR_LITTLE_ENDIAN), ("big", "1.2.840.10008.1.2.2")] {
        let path = folder.path().join(name);
        Series { syntax, ..Series::default() }.write(&path);
        assert_eq!(read_scan(&path).unwrap().volume, expected, "{name}");
    }
    // Without preamble and meta information, as before 1996.
    for (name, entry) in [
        ("bare-explicit", dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased()),
        ("bare-implicit", dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased()),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        for n in 0..4 {
            let mut file = std::fs::File::create(path.join(n.to_string())).unwrap();
            Series::default().slice(n).write_dataset_with_ts(&mut file, &entry).unwrap();
        }
        assert_eq!(read_scan(&path).unwrap().volume, expected, "{name}");
    }
    // Deflated: everything behind the meta information.
    let path = folder.path().join("deflated");
    std::fs::create_dir(&path).unwrap();
    for file in Series::default().write(&path) {
        let bytes = std::fs::read(&file).unwrap();
        let meta = 144 + u32::from_le_bytes(*bytes[140..].first_chunk().unwrap()) as usize;
        let mut deflated = Vec::new();
        let mut encoder = flate2::write::DeflateEncoder::new(&mut deflated, flate2::Compression::default());
        encoder.write_all(&bytes[meta..]).unwrap();
        encoder.finish().unwrap();
        let mut head = bytes[..meta].to_vec();
        let uid = b"1.2.840.10008.1.2.1\0";
        let place = head.windows(uid.len()).position(|window| window == uid).unwrap();
        head.splice(place..place + uid.len(), *b"1.2.840.10008.1.2.1.99");
        head[place - 2] = 22;
        head[140..144].copy_from_slice(&(meta as u32 - 144 + 2).to_le_bytes());
        std::fs::write(&file, [head, deflated].concat()).unwrap();
    }
    assert_eq!(read_scan(&path).unwrap().volume, expected, "deflated");
}

#[test]
fn every_slice_has_its_own_rescaling_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write_with(folder.path(), |n, data| {
        put(data, tags::RESCALE_INTERCEPT, VR::DS, if n == 2 { "-1000" } else { "-1024" });
    });
    let scan = read_scan(folder.path()).unwrap();
    assert_eq!(scan.volume.data()[[2, 1, 1]], intensity(2, 1, 1) + 24);
    assert_eq!(scan.volume.data()[[1, 1, 1]], intensity(1, 1, 1));
    assert!(scan.warnings.contains(&Warning::MixedRescale { count: 2 }));
    assert!(sentence(&read_scan_with(folder.path(), &strict()).unwrap_err()).contains("2 different slopes"));
}

#[test]
fn a_missing_slice_is_interpolated_and_said_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series { positions: positions(6, 2.0), ..Series::default() };
    let files = series.write(folder.path());
    std::fs::remove_file(&files[3]).unwrap();
    let scan = read_scan(folder.path()).unwrap();
    assert_eq!(scan.volume.shape()[0], 6);
    assert_eq!(scan.volume.data()[[3, 2, 2]], (intensity(2, 2, 2) + intensity(4, 2, 2)) / 2);
    assert!(scan.warnings.iter().any(|w| matches!(w, Warning::SlicesInterpolated { interpolated: 1, .. })));
    let said = sentence(&read_scan_with(folder.path(), &strict()).unwrap_err());
    assert!(said.contains("were interpolated. Without --strict it would be mended"), "{said}");
}

#[test]
fn a_slice_without_its_series_is_described_and_is_no_scan() {
    let folder = tempfile::tempdir().unwrap();
    let files = Series::default().write(folder.path());
    let slice = &files[0];
    let said = sentence(&read_scan(slice).unwrap_err());
    assert_eq!(said, "it is one slice of series 2 \"Abdomen\". Name the folder of the series");
    assert_eq!(inspect(slice).unwrap().dims, [COLUMNS as u64, ROWS as u64, 1]);
    let listed = list_series(slice, &ScanOptions::default()).unwrap().unwrap();
    assert_eq!(listed[0].verdict, Verdict::Unusable("a single slice".to_owned()));
}

#[test]
fn a_tilted_gantry_gives_upright_slices() {
    let folder = tempfile::tempdir().unwrap();
    // A column of the same intensity at the same place of the patient: each slice is two rows further back.
    let positions = (0..4).map(|n| [-10.0, -20.0 + 1.6 * f64::from(n), 100.0 + 5.0 * f64::from(n)]).collect();
    Series { positions, ..Series::default() }.write(folder.path());
    let scan = read_scan(folder.path()).unwrap();
    assert_eq!(scan.volume.shape(), [4, ROWS + 6, COLUMNS]);
    for k in 0..4 {
        assert_eq!(scan.volume.data()[[k, 2 * k + 1, 3]], intensity(k, 1, 3), "{k}");
    }
    assert_eq!(scan.volume.data()[[0, ROWS + 3, 0]], -1000, "air comes in");
    assert!(scan.warnings.iter().any(|w| matches!(w, Warning::TiltCorrected { .. })));
    assert!(read_scan_with(folder.path(), &strict()).is_err());
}

#[test]
fn slices_that_are_there_twice_are_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let files = Series::default().write(folder.path());
    std::fs::copy(&files[1], folder.path().join("copy.dcm")).unwrap();
    let scan = read_scan(folder.path()).unwrap();
    assert_eq!(scan.volume.shape()[0], 4);
    assert!(scan.warnings.contains(&Warning::SlicesTwice { count: 1 }));
    // Another object with the same pixels at the same place.
    Series::default().write_with(&folder.path().join("sent-again"), |n, data| {
        put(data, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.9.{n}"));
    });
    let scan = read_scan(folder.path()).unwrap();
    assert!(scan.warnings.contains(&Warning::SlicesTwice { count: 5 }), "{:?}", scan.warnings);
    let header = inspect(folder.path()).unwrap();
    assert!(header.warnings.contains(&Warning::SlicesTwice { count: 5 }), "{:?}", header.warnings);
}

#[test]
fn two_images_of_one_uid_that_differ_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series { positions: positions(6, 2.5), ..Series::default() };
    series.write(&folder.path().join("original"));
    let read_with = |slice: InMemDicomObject| {
        series.save(&folder.path().join("denoised.dcm"), slice);
        read_scan(folder.path())
    };
    // The same intensities, stored in another way.
    let other = Series { rescale: (1.0, -1000.0), ..series.clone() };
    let scan = read_with(other.slice(2)).unwrap();
    assert_eq!(scan.volume.shape()[0], 6);
    assert!(scan.warnings.contains(&Warning::SlicesTwice { count: 1 }), "{:?}", scan.warnings);
    let listed = list_series(folder.path(), &ScanOptions::default()).unwrap().unwrap();
    assert_eq!(listed.iter().map(|info| info.slices).collect::<Vec<_>>(), [6]);
    let with_intercept = |mut slice: InMemDicomObject, intercept: &str| {
        put(&mut slice, tags::RESCALE_INTERCEPT, VR::DS, intercept);
        slice
    };
    for slice in [with_intercept(other.slice(2), "-1024"), with_intercept(series.slice(2), "-1000")] {
        let said = sentence(&read_with(slice).unwrap_err());
        assert!(said.contains("1 slices lie where another one lies (the first at 105.00 mm"), "{said}");
    }
}

#[test]
fn slices_that_share_a_uid_are_not_one_slice() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write_with(folder.path(), |_, data| put(data, tags::SOP_INSTANCE_UID, VR::UI, "1.9"));
    assert_eq!(read_scan(folder.path()).unwrap().volume.shape()[0], 4);
}

#[test]
fn two_scans_of_one_place_are_told_apart_by_acquisition_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write_with(&folder.path().join("a"), |_, data| put(data, tags::ACQUISITION_NUMBER, VR::IS, "1"));
    let brighter = Series { rescale: (1.0, -1000.0), ..Series::default() };
    brighter.write_with(&folder.path().join("b"), |n, data| {
        put(data, tags::ACQUISITION_NUMBER, VR::IS, "2");
        put(data, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.9.{n}"));
        put(data, tags::RESCALE_INTERCEPT, VR::DS, "-1024");
    });
    let scan = read_scan(folder.path()).unwrap();
    let source = scan.dicom.unwrap();
    assert!(source.name().ends_with("acquisition 1") && source.series().ends_with(":1"));
    let taken = |series: &str| {
        let options = ScanOptions { series: Some(series.to_owned()), ..ScanOptions::default() };
        read_scan_with(folder.path(), &options)
    };
    for series in [format!("{}:2", source.series_uid()), "2:2".to_owned()] {
        let second = taken(&series).unwrap().dicom.unwrap();
        assert!(second.name().ends_with("acquisition 2") && second.series().ends_with(":2"), "{series}");
    }
    let said = sentence(&taken("2:3").unwrap_err());
    assert!(said.contains("no series 2:3") && said.contains(":1, ") && said.contains(":2"), "{said}");
    let same = tempfile::tempdir().unwrap();
    Series::default().write(&same.path().join("a"));
    brighter.write_with(&same.path().join("b"), |n, data| {
        put(data, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.9.{n}"));
        put(data, tags::RESCALE_INTERCEPT, VR::DS, "-1024");
    });
    let said = sentence(&read_scan(same.path()).unwrap_err());
    assert!(said.contains("4 slices lie where another one lies (the first at 100.00 mm"), "{said}");
}

/// The slices of each volume that one series makes, of slices at these heights with these acquisition numbers.
fn volumes(zs: impl IntoIterator<Item = (f64, u32)>) -> Vec<usize> {
    let (zs, acquisitions): (Vec<f64>, Vec<u32>) = zs.into_iter().unzip();
    let folder = tempfile::tempdir().unwrap();
    let positions = zs.iter().map(|z| [0.0, 0.0, *z]).collect();
    Series { positions, ..Series::default() }.write_with(folder.path(), |n, data| {
        put(data, tags::ACQUISITION_NUMBER, VR::IS, &acquisitions[n].to_string());
    });
    let listed = list_series(folder.path(), &ScanOptions::default()).unwrap().unwrap();
    listed.iter().map(|info| info.slices).collect()
}

#[test]
fn two_phases_whose_slices_lie_between_one_another_are_not_one_volume() {
    for offset in [2.5, 2.0, 0.1] {
        let phase = |first: f64, number: u32| (0..8).map(move |n| (first + 5.0 * f64::from(n), number));
        assert_eq!(volumes(phase(0.0, 1).chain(phase(offset, 2))), [8, 8], "{offset} mm");
    }
}

#[test]
fn two_phases_between_one_another_are_told_apart_though_a_slice_of_one_is_missing() {
    let phase = |first: f64, number: u32| (0..8).map(move |n| (first + 5.0 * f64::from(n), number));
    let first = || phase(0.0, 1);
    let second = || phase(2.5, 2).filter(|(z, _)| *z != 12.5);
    assert_eq!(volumes(first().chain(second())), [8, 7]);
    assert_eq!(volumes(first().chain(phase(2.5, 2)).chain([(16.0, 3)])), [8, 8, 1]);
    assert_eq!(volumes(first().chain(second()).chain([(11.0, 3), (12.5, 3)])), [8, 7, 2]);
}

#[test]
fn acquisition_times_of_single_slices_tell_no_scans_apart() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series { positions: positions(8, 2.5), ..Series::default() };
    let timed = |second: usize, data: &mut InMemDicomObject| {
        put(data, tags::ACQUISITION_TIME, VR::TM, &format!("1200{second:02}"));
    };
    series.write_with(folder.path(), timed);
    let mut again = series.slice(3);
    timed(30, &mut again);
    put(&mut again, tags::SOP_INSTANCE_UID, VR::UI, "1.9.3");
    series.save(&folder.path().join("again.dcm"), again);
    let scan = read_scan(folder.path()).unwrap();
    assert_eq!(scan.volume.shape()[0], 8);
    assert!(scan.warnings.contains(&Warning::SlicesTwice { count: 1 }), "{:?}", scan.warnings);
    // Perfusion: more scans than each has slices.
    let folder = tempfile::tempdir().unwrap();
    for time in 1..=6 {
        Series::default().write_with(&folder.path().join(time.to_string()), |n, data| {
            put(data, tags::TEMPORAL_POSITION_IDENTIFIER, VR::IS, &time.to_string());
            put(data, tags::SOP_INSTANCE_UID, VR::UI, &format!("1.9.{time}.{n}"));
        });
    }
    let listed = list_series(folder.path(), &ScanOptions::default()).unwrap().unwrap();
    assert_eq!(listed.iter().map(|info| info.slices).collect::<Vec<_>>(), [4; 6]);
}

#[test]
fn acquisitions_that_follow_one_another_along_the_body_are_one_volume() {
    let slices = |acquisition: fn(u32) -> u32| (0..12).map(move |n| (2.5 * f64::from(n), acquisition(n)));
    assert_eq!(volumes(slices(|n| 1 + n / 6)), [12], "two scans");
    assert_eq!(volumes(slices(|n| 1 + n / 4)), [12], "four slices a turn");
    assert_eq!(volumes(slices(|n| n)), [12], "a slice a turn");
}

#[test]
fn an_enhanced_image_is_read_by_its_functional_groups() {
    use dicom_core::value::DataSetSequence;
    let sequence = |items: Vec<InMemDicomObject>| DataSetSequence::from(items);
    let single = |tag, item: InMemDicomObject| DataElement::new(tag, VR::SQ, sequence(vec![item]));
    let of = |elements: Vec<(dicom_core::Tag, &str)>| {
        let element = |(tag, value)| DataElement::new(tag, VR::DS, PrimitiveValue::from(value));
        InMemDicomObject::from_element_iter(elements.into_iter().map(element))
    };
    let series = Series { sop_class: uids::ENHANCED_CT_IMAGE_STORAGE, ..Series::default() };
    let mut data = series.slice(0);
    for tag in [tags::IMAGE_POSITION_PATIENT, tags::IMAGE_ORIENTATION_PATIENT, tags::PIXEL_SPACING] {
        data.remove_element(tag);
    }
    // Frames come from the highest slice to the lowest.
    let order = [3usize, 2, 1, 0];
    let frame = |n: &usize| {
        let position = of(vec![(tags::IMAGE_POSITION_PATIENT, &format!("-10\\-20\\{}", 100.0 + 2.5 * *n as f64))]);
        InMemDicomObject::from_element_iter([single(tags::PLANE_POSITION_SEQUENCE, position)])
    };
    data.put(DataElement::new(
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        VR::SQ,
        sequence(order.iter().map(frame).collect()),
    ));
    let shared = InMemDicomObject::from_element_iter([
        single(tags::PLANE_ORIENTATION_SEQUENCE, of(vec![(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")])),
        single(
            tags::PIXEL_MEASURES_SEQUENCE,
            of(vec![(tags::PIXEL_SPACING, "0.8\\0.7"), (tags::SLICE_THICKNESS, "2.5")]),
        ),
        single(
            tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
            of(vec![(tags::RESCALE_SLOPE, "1"), (tags::RESCALE_INTERCEPT, "-1024")]),
        ),
    ]);
    data.put(single(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, shared));
    put(&mut data, tags::NUMBER_OF_FRAMES, VR::IS, "4");
    let stored = |n: usize, at: usize| (intensity(n, at / COLUMNS, at % COLUMNS) + 1024) as u16;
    let pixels: Vec<u16> = order.iter().flat_map(|n| (0..ROWS * COLUMNS).map(|at| stored(*n, at))).collect();
    data.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("enhanced.dcm");
    series.save(&path, data);
    let scan = read_scan(&path).unwrap();
    assert!(scan.volume.data().indexed_iter().all(|((k, j, i), v)| *v == intensity(k, j, i)));
    assert_eq!(scan.volume.geometry().spacing(), [2.5, 0.8, 0.7]);
    let archive = folder.path().join("enhanced.zip");
    write_zip(&archive, &[path]);
    assert_eq!(read_scan(&archive).unwrap().volume, scan.volume);
}
