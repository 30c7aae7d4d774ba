//! Files that Keras itself saved.
//!
//! `tests/oracles/keras_goldens.py` made them, with the weights of `hepar_model::generated` in Keras' order.

use std::io::Read;

use flate2::read::GzDecoder;
use hepar_interchange::keras::{KerasError, read_weights};
use hepar_model::generated::generated;
use hepar_model::tensors::Role;
use hepar_model::topology::{Dimensions, NetworkConfig};

/// Every golden file: weights and models of Keras 2 and 3, planar and spatial.
const FILES: [(&str, Dimensions); 4] = [
    ("keras2_2d.h5", Dimensions::Planar),
    ("keras2_3d.h5", Dimensions::Spatial),
    ("keras3_2d.model.h5", Dimensions::Planar),
    ("keras3_3d.weights.h5", Dimensions::Spatial),
];

fn golden(file: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/{file}.gz", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The golden file with every `from` in its bytes replaced by `to`.
fn changed(file: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = golden(file);
    let places: Vec<usize> = (0..=bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|&at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}

fn refused(bytes: Vec<u8>) -> String {
    read_weights(bytes).unwrap_err().to_string()
}

#[test]
fn every_weight_of_every_layout_arrives_at_its_place_in_hepars_order() {
    for (file, dimensions) in FILES {
        let config = NetworkConfig::new(dimensions, [4, 8, 4, 4, 8, 4]).unwrap();
        let weights = read_weights(golden(file)).unwrap();
        assert_eq!(*weights.config(), config, "{file}");
        let expected = generated(config);
        for spec in config.tensors() {
            assert_eq!(weights.get(&spec.name), expected.get(&spec.name), "{file}: {}", spec.name);
        }
    }
}

#[test]
fn the_layers_have_the_ranks_of_the_original() {
    // Per part: the last of its convolutions and of its normalisations, counted from 1 in the order of creation.
    let parts = [
        ("conv1", 1, 1),
        ("res1", 5, 4),
        ("res2", 9, 7),
        ("res3", 13, 10),
        ("res4", 17, 13),
        ("res5b", 25, 19),
        ("atten1", 51, 37),
        ("up1", 55, 40),
        ("atten2", 93, 67),
        ("up2", 97, 70),
        ("atten3", 147, 106),
        ("up3", 151, 109),
        ("atten4", 213, 154),
        ("up4", 217, 157),
        ("conv9", 218, 158),
    ];
    let tensors = NetworkConfig::RA_UNET_II.tensors();
    let layers = |role| tensors.iter().filter(move |spec| spec.role == role).map(|spec| spec.name.as_str());
    let last = |role, part: &str| layers(role).enumerate().filter(|(_, name)| name.starts_with(part)).last().unwrap().0;
    for (part, convolutions, normalisations) in parts {
        let part = format!("{part}.");
        let found = (last(Role::Kernel, &part) + 1, last(Role::Gamma, &part) + 1);
        assert_eq!(found, (convolutions, normalisations), "{part}");
    }
    let rank = |name: &str| layers(Role::Kernel).position(|layer| layer == name).unwrap() + 1;
    let gates = [("atten1", 46), ("atten2", 88), ("atten3", 142), ("atten4", 208)];
    for (part, first) in gates {
        assert_eq!(rank(&format!("{part}.mask.a.weight")), first);
        assert_eq!(rank(&format!("{part}.mask.b.weight")), first + 1);
    }
}

#[test]
fn what_is_no_hdf5_is_called_so() {
    for bytes in [Vec::new(), b"PK".to_vec(), vec![0; 4096], b"weights".repeat(1000)] {
        assert!(matches!(read_weights(bytes), Err(KerasError::NotHdf5)));
    }
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    for (file, _) in FILES {
        let bytes = golden(file);
        for keep in [9, 100, 2000, bytes.len() / 2, bytes.len() - 1000] {
            let error = refused(bytes[..keep].to_vec());
            assert!(error.contains("Is the copy complete?"), "{file}, {keep}: {error}");
        }
    }
}

#[test]
fn another_network_is_refused_by_the_number_of_its_layers() {
    let error = refused(changed("keras2_2d.h5", b"batch_normalization_200\0", b"batch_renormalizing_200\0"));
    assert!(error.contains("219 convolutions and 157 batch normalisations"), "{error}");
}

#[test]
fn a_layer_that_lacks_an_array_is_named() {
    let error = refused(changed("keras3_2d.model.h5", b"\0gamma\0", b"\0gimma\0"));
    assert_eq!(error, "the layer batch_normalization has no gamma");
}

#[test]
fn only_the_order_of_the_numbers_counts() {
    // The output stays the last layer.
    assert!(read_weights(changed("keras3_2d.model.h5", b"\0conv2d_218\0", b"\0conv2d_999\0")).is_ok());
    // conv9 becomes the last layer, where the output should be.
    let error = refused(changed("keras3_2d.model.h5", b"\0conv2d_217\0", b"\0conv2d_999\0"));
    assert!(error.contains("the kernel of the layer conv2d_218 has the shape [3, 3, 4, 1]"), "{error}");
    assert!(error.contains("where it is conv9.conv.weight, it has [3, 3, 12, 4]"), "{error}");
}

#[test]
fn a_network_that_is_far_too_large_is_refused_before_room_is_made_for_it() {
    let shape = |width: u64| [3, 3, 3, 1, width].map(u64::to_le_bytes).concat();
    // conv9 would have 4096 × 4104 × 27 weights.
    for width in [4096, 5000] {
        let error = refused(changed("keras2_3d.h5", &shape(4), &shape(width)));
        assert!(error.contains("more than 4096 channels or 1 GiB of weights"), "{error}");
    }
}

#[test]
fn weights_of_half_precision_are_called_so() {
    // As HDF5 describes a type: class and flags, bytes, first bit and number of bits, where exponent and mantissa are, bias.
    let float32 = b"\x11\x20\x1f\0\x04\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0";
    let float16 = b"\x11\x20\x0f\0\x02\0\0\0\0\0\x10\0\x0a\x05\0\x0a\x0f\0\0\0";
    let error = refused(changed("keras2_3d.h5", float32, float16));
    assert!(error.contains("is stored as float16; weights are read from float32"), "{error}");
}

#[test]
fn numbers_that_are_none_are_refused() {
    let weights = read_weights(golden("keras2_3d.h5")).unwrap();
    let first = weights.get("conv1.norm.gamma").unwrap()[0].to_le_bytes();
    let error = refused(changed("keras2_3d.h5", &first, &f32::NAN.to_le_bytes()));
    assert!(error.contains("conv1.norm.gamma holds NaN"), "{error}");
}

#[test]
fn damage_anywhere_is_an_error_or_other_weights_but_no_crash() {
    let bytes = golden("keras2_2d.h5");
    // A generator of Lehmer's kind; the places are the same on every run.
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state * 48_271 % 2_147_483_647;
        state as usize % below
    };
    for _ in 0..60 {
        let mut bytes = bytes.clone();
        for _ in 0..20 {
            // Most of the structure is at the front and between the arrays.
            let at = next(bytes.len());
            bytes[at] = next(256) as u8;
        }
        drop(read_weights(bytes));
    }
}

#[test]
fn files_of_the_fuzzers_corpus_are_no_network_and_say_why() {
    let folder = format!("{}/../../fuzz/corpus/keras", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 1);
    for path in files {
        assert!(!refused(std::fs::read(&path).unwrap()).is_empty(), "{}", path.display());
    }
}
