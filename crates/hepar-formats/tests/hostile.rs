//! Files that are damaged, or made to do harm: each gives its sentence, none a panic or much memory.

mod by_hand;

use by_hand::{File, gzip, saved, sentence, shorts, some_hounsfield_units};
use hepar_formats::{ReadErrorKind, inspect, read_labels, read_scan};
use proptest::prelude::*;

/// What the user reads of why a file of this name and content is no scan, after the name.
fn refused(name: &str, content: &[u8]) -> String {
    let (_folder, path) = saved(name, content);
    let error = read_scan(&path).unwrap_err();
    let text = sentence(&error);
    text.strip_prefix(&format!("read {}: ", path.display())).unwrap().to_owned()
}

fn refused_with(change: impl FnOnce(&mut File)) -> String {
    let mut file = File::new([3, 2, 2], 4);
    change(&mut file);
    refused("ct.nii", &file.with(&some_hounsfield_units(12)))
}

/// A scan that does not compress well, so that its gzip stream can be cut anywhere.
fn noise() -> Vec<u8> {
    let mut state = 1u32;
    let voxels = (0..16 * 16 * 16).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 20) as i16 - 2000
    });
    File::new([16; 3], 4).with(&shorts(voxels))
}

#[test]
fn what_is_no_image_is_named() {
    assert_eq!(refused("ct.nii.gz", b""), "it is no image: the file is empty");
    assert_eq!(
        refused("ct.nii.gz", b"<!DOCTYPE html><html><body>Please log in to download"),
        "it is no image: it is text that begins with \"<!DOCTYPE html><html><body>Ple\""
    );
    assert_eq!(refused("ct.nii.gz", &gzip(b"")), "it is no image: nothing can be decompressed from it");
    assert_eq!(refused("ct.nii", &noise()[..200]), "it is no image: it ends after 200 bytes, within the header");
    assert_eq!(
        refused("ct.nii", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        "its first bytes, 89 50 4e 47 0d 0a 1a 0a, are of no known image format; NIfTI, NRRD, MetaImage and \
         DICOM are read"
    );
    assert!(refused_with(|file| file.dim[0] = 99).ends_with("its header has 99 dimensions, NIfTI has 1 to 7"));
    assert!(refused_with(|file| file.dim[0] = -3).ends_with("its header has -3 dimensions, NIfTI has 1 to 7"));
    let folder = tempfile::tempdir().unwrap();
    assert!(sentence(&read_scan(folder.path()).unwrap_err()).ends_with("it holds no files"));
    let missing = folder.path().join("missing.nii");
    assert!(matches!(read_scan(&missing).unwrap_err().kind(), ReadErrorKind::Io(_)));
}

#[test]
fn voxels_of_half_a_kilometre_are_no_scan() {
    let text = refused_with(|file| (file.units, file.srow[0][0]) = (1, 500.0));
    assert!(text.contains("500000 × ") && text.ends_with("Is the unit of length right?"), "{text}");
}

#[test]
fn half_of_a_pair_is_not_enough() {
    let mut file = File::new([3, 2, 2], 4);
    (file.pair, file.vox_offset) = (true, 0.0);
    let text = refused("ct.hdr", &file.header());
    assert!(text.ends_with("ct.img is missing: keep the .hdr and the .img file in one folder"), "{text}");
    let text = refused("ct.img.gz", &gzip(&some_hounsfield_units(12)));
    assert!(text.ends_with("ct.hdr.gz is missing: keep the .hdr and the .img file in one folder"), "{text}");
}

#[test]
fn a_file_that_is_cut_off_is_not_complete() {
    let whole = noise();
    assert_eq!(
        refused("ct.nii", &whole[..whole.len() / 2]),
        "the header claims 4096 voxels, the file holds 1960. Is the copy complete?"
    );
    let zipped = gzip(&whole);
    let text = refused("ct.nii.gz", &zipped[..zipped.len() / 2]);
    assert!(text.starts_with("the header claims 4096 voxels, the file holds "), "{text}");
    assert!(text.ends_with(". Is the copy complete?"), "{text}");
    let text = refused("ct.nii.gz", &zipped[..zipped.len() - 4]);
    assert!(text.starts_with("the compressed stream is damaged after 8544 decompressed bytes"), "{text}");
}

#[test]
fn a_bit_that_flipped_in_a_compressed_file_is_noticed() {
    let zipped = gzip(&noise());
    for at in [10, zipped.len() / 3, zipped.len() / 2, zipped.len() - 6] {
        let mut flipped = zipped.clone();
        flipped[at] ^= 0x10;
        let (_folder, path) = saved("ct.nii.gz", &flipped);
        assert!(read_scan(&path).is_err(), "byte {at}");
    }
}

#[test]
fn a_claim_that_the_file_cannot_hold_is_refused_before_memory_is_reserved() {
    let mut file = File::new([1_000_000_000; 3], 4).version_2();
    let expected = "the header claims 1000000000 × 1000000000 × 1000000000 voxels, more than the 568 bytes of the file \
                    can hold. Is it damaged?";
    assert_eq!(refused("ct.nii", &file.with(&some_hounsfield_units(12))), expected);
    file.dim = [3, 100_000, 100_000, 1000, 1, 1, 1, 1];
    let text = refused("ct.nii.gz", &gzip(&file.with(&some_hounsfield_units(12))));
    assert!(text.starts_with("the header claims 100000 × 100000 × 1000 voxels, more than the "), "{text}");
    let text = refused("ct.nii", &file.with(&some_hounsfield_units(12)));
    assert_eq!(text, "the header claims 10000000000000 voxels, the file holds 12. Is the copy complete?");
}

#[test]
fn voxels_that_begin_within_the_header_or_beyond_the_file_are_refused() {
    assert_eq!(
        refused_with(|file| file.vox_offset = 100.0),
        "the header places the voxels at byte 100; they must begin at or after byte 352, where it ends"
    );
    for bad in [f64::NAN, f64::INFINITY, -352.0, 352.5] {
        assert!(refused_with(|file| file.vox_offset = bad).contains("they must begin at or after byte 352"));
    }
    assert_eq!(
        refused_with(|file| file.vox_offset = 1e6),
        "the header places the voxels at byte 1000000, the file ends at byte 376. Is the copy complete?"
    );
    let mut file = File::new([3, 2, 2], 4);
    file.vox_offset = 20_000.0;
    assert_eq!(
        refused("ct.nii.gz", &gzip(&file.with(&some_hounsfield_units(12)))),
        "the header places the voxels at byte 20000, the file ends at byte 376. Is the copy complete?"
    );
}

#[test]
fn what_is_no_single_volume_is_refused() {
    assert_eq!(
        refused_with(|file| file.dim[2] = -2),
        "the header claims 3 × -2 × 2 voxels: an axis must have at least one"
    );
    assert_eq!(
        refused_with(|file| file.dim[0..3].copy_from_slice(&[2, 6, 2])),
        "it is a single slice (6 × 2 voxels). Give the whole volume"
    );
    assert_eq!(
        refused_with(|file| file.dim[0..5].copy_from_slice(&[4, 3, 2, 1, 2])),
        "it holds 2 volumes (time points or phases; 3 × 2 × 1 × 2 voxels). Split it and give one of them"
    );
}

#[test]
fn voxels_that_are_no_numbers_are_refused() {
    assert_eq!(
        refused_with(|file| file.datatype = 128),
        "the voxels are RGB colours; a volume of integers or of 32 or 64 bit floats is needed"
    );
    assert!(refused_with(|file| file.datatype = 32).starts_with("the voxels are complex numbers; "));
    assert!(refused_with(|file| file.datatype = 77).starts_with("the voxels are of an unknown type (code 77); "));
    let floats: Vec<u8> =
        [1.0, 2.0, f32::NAN, 4.0, 5.0, f32::INFINITY, 7.0, 8.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(
        refused("ct.nii", &File::new([2, 2, 2], 16).with(&floats)),
        "2 voxels are NaN or infinite, the first is (i, j, k) = (0, 1, 0). Replace them, by -1000 (air) say"
    );
    assert_eq!(
        refused_with(|file| (file.slope, file.inter) = (1.0, f64::NAN)),
        "the header's intensity scaling, slope 1 and intercept NaN, is not finite"
    );
}

#[test]
fn a_grid_that_is_none_is_refused() {
    assert_eq!(
        refused_with(|file| (file.sform_code, file.pixdim) = (0, [1.0, f64::NAN, 1.0, 1.0])),
        "the header's voxel spacing is [NaN, 1.0, 1.0] (i, j, k); the position comes from the pixdim, which needs it \
         positive"
    );
    assert!(
        refused_with(|file| (file.sform_code, file.qform_code, file.pixdim) = (0, 1, [1.0, 1.0, 0.0, 1.0]))
            .contains("the position comes from the qform")
    );
    assert_eq!(
        refused_with(|file| file.srow[2] = [0.0; 4]),
        "by the header's sform, the affine cannot be inverted (determinant 0e0 mm³): an axis has no length or two axes \
         are parallel"
    );
    assert_eq!(
        refused_with(|file| file.srow[1][3] = f64::NAN),
        "by the header's sform, the affine holds NaN, which is no finite number"
    );
    assert!(
        refused_with(|file| (file.sform_code, file.qform_code, file.quatern) = (0, 1, [f64::NAN, 0.0, 0.0]))
            .starts_with("by the header's qform, the affine holds NaN")
    );
}

#[test]
fn labels_are_no_scan_and_a_scan_is_no_labels() {
    let labels: Vec<u8> = (0..12).map(|n| n % 3).collect();
    assert_eq!(
        refused("ct.nii", &File::new([3, 2, 2], 2).with(&labels)),
        "it holds only the values 0, 1, 2: is it a label volume? A CT in Hounsfield units is needed"
    );
    let refused_labels = |file: File, voxels: &[u8]| {
        let (_folder, path) = saved("labels.nii", &file.with(voxels));
        read_labels(&path).unwrap_err().kind().to_string()
    };
    assert_eq!(
        refused_labels(File::new([3, 2, 2], 4), &shorts([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -5, 0])),
        "voxel (i, j, k) = (1, 1, 1) holds -5; labels are whole numbers from 0 to 255"
    );
    assert_eq!(
        refused_labels(File::new([3, 2, 2], 4), &shorts([0, 256, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        "voxel (i, j, k) = (1, 0, 0) holds 256; labels are whole numbers from 0 to 255"
    );
    let floats: Vec<u8> = [0.0f32, 1.0, 0.25, 0.0, 1.0, 1.0, 0.0, 0.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(
        refused_labels(File::new([2, 2, 2], 16), &floats),
        "voxel (i, j, k) = (0, 1, 0) holds 0.25; labels are whole numbers from 0 to 255"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..900), zip: bool) {
        let (_folder, path) = saved("ct.nii.gz", &if zip { gzip(&bytes) } else { bytes });
        let _ = (read_scan(&path).is_err(), read_labels(&path).is_err(), inspect(&path).is_err());
    }

    #[test]
    fn a_header_with_random_bytes_in_it_never_panics(
        changes in prop::collection::vec((4usize..544, any::<u8>()), 1..40),
        version_2: bool,
        zip: bool,
    ) {
        let mut file = File::new([3, 2, 2], 4);
        if version_2 {
            file = file.version_2();
        }
        let magic = if version_2 { 4..12 } else { 344..348 };
        let mut bytes = file.with(&some_hounsfield_units(12));
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at).filter(|_| !magic.contains(&at)) {
                *byte = value;
            }
        }
        let (_folder, path) = saved("ct.nii", &if zip { gzip(&bytes) } else { bytes });
        let _ = (read_scan(&path).is_err(), read_labels(&path).is_err(), inspect(&path).is_err());
    }

    #[test]
    fn a_damaged_gzip_stream_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = gzip(&File::new([3, 2, 2], 4).with(&some_hounsfield_units(12)));
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let (_folder, path) = saved("ct.nii", &bytes);
        let _ = (read_scan(&path).is_err(), read_labels(&path).is_err(), inspect(&path).is_err());
    }
}
