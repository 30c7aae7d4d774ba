//! The model that a command uses: the one in the binary, or a folder.

use std::path::Path;

use hepar_model::bundle::{Bundle, BundleError};

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The model cannot be opened.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The program was built without a model in it.
    #[error("open a model: this program was built without one; name the folder of one")]
    NotEmbedded,
}

/// The model in the folder, or without a folder the one in the binary.
///
/// # Errors
/// When it cannot be opened, or there is none in the binary (feature `embedded-model`).
pub fn open_model(folder: Option<&Path>) -> Result<Bundle, ModelError> {
    match folder {
        Some(folder) => Ok(Bundle::open(folder)?),
        None => embedded_model(),
    }
}

/// The model in the binary.
///
/// # Errors
/// When it cannot be opened; it always can in a binary that passes its tests.
#[cfg(feature = "embedded-model")]
pub fn embedded_model() -> Result<Bundle, ModelError> {
    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!("../../../models/raunet-lits/", $name))
        };
    }
    let card = include_str!("../../../models/raunet-lits/model.toml");
    let weights: [(&str, &[u8]); 3] = [
        ("localizer.safetensors", file!("localizer.safetensors")),
        ("liver.safetensors", file!("liver.safetensors")),
        ("tumour.safetensors", file!("tumour.safetensors")),
    ];
    Ok(Bundle::from_memory(card, &weights)?)
}

/// The model in the binary.
///
/// # Errors
/// Always: this program was built without the feature `embedded-model`.
#[cfg(not(feature = "embedded-model"))]
pub fn embedded_model() -> Result<Bundle, ModelError> {
    Err(ModelError::NotEmbedded)
}

#[cfg(all(test, feature = "embedded-model"))]
mod tests {
    use super::*;
    use hepar_model::stage::StageName;

    #[test]
    fn the_model_in_the_binary_is_whole() {
        let bundle = embedded_model().unwrap();
        for stage in StageName::ALL {
            bundle.weights(stage).unwrap();
        }
    }
}
