//! Weights as HDF5 files of Keras.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = hepar_interchange::keras::read_weights(data.to_vec());
});
