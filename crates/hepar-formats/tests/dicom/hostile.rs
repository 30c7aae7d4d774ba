//! Files that are damaged, or made to do harm: each gives its sentence, none a panic or much memory.

use std::time::UNIX_EPOCH;

use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{InMemDicomObject, open_file};
use hepar_formats::{Provenance, SegmentationType, SegmentsBy, read_labels, read_scan, write_segmentation};
use hepar_volume::Volume;
use proptest::prelude::*;

use crate::series::{Series, put, sentence};

/// Preamble, meta information of an explicit data set, and `data`.
fn file_of(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let uid = b"1.2.840.10008.1.2.1\0";
    bytes.extend([2, 0, 0x10, 0, b'U', b'I', uid.len() as u8, 0]);
    bytes.extend(uid);
    bytes.extend(data);
    bytes
}

fn refused(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ct.dcm");
    std::fs::write(&path, bytes).unwrap();
    sentence(&read_scan(&path).unwrap_err())
}

#[test]
fn a_small_file_that_claims_gigabytes_is_refused() {
    let mut huge = vec![8, 0, 0x18, 0, b'U', b'T', 0, 0];
    huge.extend(0xffff_fff0u32.to_le_bytes());
    huge.extend([0; 80]);
    assert_eq!(
        refused(&file_of(&huge)),
        "element (0008,0018) claims 4294967280 bytes where 80 are left. Is the copy complete?"
    );
    // In the meta information, whose length nothing else bounds.
    let mut meta = vec![0; 128];
    meta.extend(b"DICM\x02\0\x01\0OB\0\0");
    meta.extend(0x7fff_ffffu32.to_le_bytes());
    meta.extend([0; 120]);
    assert!(refused(&meta).starts_with("element (0002,0001) claims 2147483647 bytes where 120 are left"));
}

#[test]
fn twenty_thousand_nested_sequences_are_refused() {
    let mut nested = Vec::new();
    for _ in 0..20_000 {
        nested
            .extend([8, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 255, 255, 255, 255, 0xfe, 0xff, 0, 0xe0, 255, 255, 255, 255]);
    }
    assert_eq!(refused(&file_of(&nested)), "its sequences are nested more than 64 deep, which no DICOM object needs");
    // Hidden in an element of unknown representation, which is then a sequence of implicit elements.
    let mut hidden = vec![9, 0, 0x10, 0x10, b'U', b'N', 0, 0, 255, 255, 255, 255];
    for _ in 0..20_000 {
        hidden.extend([0xfe, 0xff, 0, 0xe0, 255, 255, 255, 255, 8, 0, 0x40, 0x11, 255, 255, 255, 255]);
    }
    assert!(refused(&file_of(&hidden)).starts_with("its sequences are nested more than 64 deep"));
}

#[test]
fn frames_that_are_not_there_are_not_reserved() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series::default();
    let write = |change: &dyn Fn(&mut InMemDicomObject)| {
        let path = folder.path().join("ct.dcm");
        let mut data = series.slice(0);
        change(&mut data);
        series.save(&path, data);
        sentence(&read_scan(&path).unwrap_err())
    };
    let said = write(&|data| put(data, tags::NUMBER_OF_FRAMES, VR::IS, "2000000000"));
    assert_eq!(said, "NumberOfFrames (0028,0008) is 2000000000; 1 to 65536 are read");
    let said = write(&|data| put(data, tags::NUMBER_OF_FRAMES, VR::IS, "60000"));
    assert_eq!(said, "PixelData (7fe0,0010) holds 60 bytes, its 60000 frames need 3600000");
    let rows = |data: &mut InMemDicomObject| {
        data.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(65535u16)));
    };
    assert!(write(&rows).starts_with("PixelData (7fe0,0010) holds 60 bytes"));
}

#[test]
fn a_compressed_frame_of_gigapixels_is_refused_before_it_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series { syntax: uids::JPEG2000_LOSSLESS, ..Series::default() };
    let save = |name: &str, mut data: InMemDicomObject| {
        for tag in [tags::ROWS, tags::COLUMNS] {
            data.put(DataElement::new(tag, VR::US, PrimitiveValue::from(65535u16)));
        }
        let stream: PixelFragmentSequence<Vec<u8>> = PixelFragmentSequence::new_fragments(vec![vec![0xff, 0x4f]]);
        data.put(DataElement::new(tags::PIXEL_DATA, VR::OB, stream));
        let path = folder.path().join(name);
        series.save(&path, data);
        path
    };
    let expected = "its compressed frames have 65535 × 65535 pixels; up to 67108864 are read";
    assert_eq!(sentence(&read_scan(&save("ct.dcm", series.slice(0))).unwrap_err()), expected);
    // A segmentation of one slice, whose volume alone would have 4 GiB.
    Series::default().write(&folder.path().join("ct"));
    let scan = read_scan(&folder.path().join("ct")).unwrap();
    let labels = Volume::from_fn(scan.volume.geometry().clone(), |[k, _, _]| if k == 2 { 2 } else { 0 });
    let made = Provenance { version: "1.0".to_owned(), model: "test 1".to_owned(), made: UNIX_EPOCH };
    let path = folder.path().join("seg.dcm");
    let source = scan.dicom.as_ref().unwrap();
    write_segmentation(&path, &labels, source, SegmentationType::Binary, SegmentsBy::Label, &made).unwrap();
    let data = open_file(&path).unwrap().into_inner();
    assert_eq!(sentence(&read_labels(&save("large.dcm", data)).unwrap_err()), expected);
}

#[test]
fn a_damaged_file_among_others_is_named_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write(folder.path());
    let mut broken = file_of(&[8, 0, 0x18, 0, b'U', b'I']);
    broken.extend(0xff00u16.to_le_bytes());
    std::fs::write(folder.path().join("broken.dcm"), broken).unwrap();
    let scan = read_scan(folder.path()).unwrap();
    let said = scan.warnings[0].to_string();
    assert!(said.starts_with("left out: ") && said.contains("broken.dcm: element (0008,0018) claims 65280"), "{said}");
}

#[test]
fn a_deflated_file_that_ends_with_a_long_element_of_its_meta_information_does_not_end_the_reading_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    Series::default().write(folder.path());
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM\x02\0\x10\0UI\x16\x001.2.840.10008.1.2.1.99");
    bytes.extend(b"\x02\0\x02\x01OB\0\0");
    bytes.extend(40_000u32.to_le_bytes());
    bytes.extend([0; 40_000]);
    std::fs::write(folder.path().join("deflated.dcm"), &bytes).unwrap();
    let said = read_scan(folder.path()).unwrap().warnings[0].to_string();
    assert!(said.contains("deflated.dcm: it ends after 40174 bytes"), "{said}");
}

#[test]
fn an_archive_whose_entries_lie_about_their_size_is_refused_or_read_no_further() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file("a", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&vec![0; 1 << 20]).unwrap();
    zip.finish().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The size in the directory says a hundred bytes.
    let directory = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    bytes[directory + 24..directory + 28].copy_from_slice(&100u32.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let said = sentence(&read_scan(&path).unwrap_err());
    assert!(said.contains("a holds more than the 100 bytes that the archive claims"), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_slice_gives_a_volume_or_a_sentence(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
        implicit: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let syntax = if implicit { "1.2.840.10008.1.2" } else { "1.2.840.10008.1.2.1" };
        let series = Series { positions: crate::series::positions(1, 1.0), syntax, ..Series::default() };
        let path = series.write(folder.path()).remove(0);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&path, &bytes).unwrap();
        match read_scan(&path) {
            Ok(scan) => prop_assert!(scan.volume.data().len() < 1 << 24),
            Err(error) => prop_assert!(sentence(&error).len() > 10),
        }
    }
}
