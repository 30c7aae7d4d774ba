//! Weights as safetensors, and a model's card as TOML.
#![no_main]

use hepar_model::bundle::Bundle;
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_model::weights::Weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let config = NetworkConfig::new(Dimensions::Planar, [4; 6]).expect("the smallest network");
    let _ = Weights::from_safetensors(config, data);
    if let Ok(card) = std::str::from_utf8(data) {
        let _ = Bundle::from_memory(card, &[]);
    }
});
