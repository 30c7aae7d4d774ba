//! Weights of RA-UNet out of the HDF5 files that Keras saves.
//!
//! Read are weights and whole models of Keras 2 and 3 (`save_weights`, `save` to `.h5`) and the `.weights.h5` of today.
//! Layers are recognised by the order in which they were made, which the numbers in Keras' names tell: per kind, the
//! n-th layer of the file is the n-th that [`ra_unet`](hepar_model::topology::ra_unet) applies. That is the order of
//! the original's program. A graph that was made in another order is refused where a shape shows it; where none does,
//! as for two layers of one shape, nothing in the file could.
//!
//! **Axes.** The original feeds its networks with arrays whose axes are x, y and z, in this order, where `hepar` gives
//! z, y, x (`[k, j, i]`, patient's right to left along i, anterior to posterior along j, inferior to superior along k).
//! Kernels are therefore transposed from `[x, y, z, in, out]` to `[out, in, z, y, x]`, so that a network gives on our
//! volume what the original gives on the same volume with its axes reversed. Nothing is flipped: a network that was
//! trained on scans stored right to left, anterior to posterior, inferior to superior sees the patient as it did then.

mod error;
mod layers;

pub use error::KerasError;

use hdf5_reader::Datatype;
use hepar_model::tensors::{Role, TensorSpec};
use hepar_model::topology::{Dimensions, NetworkConfig};
use hepar_model::weights::Weights;

use error::{CONVOLUTIONS, MOST_CHANNELS, MOST_GIB, NORMALISATIONS};
use layers::{Layer, broken, part_of, read_layers};

/// The convolutions whose outputs are as many as the network's widths.
const WIDTHS: [&str; 6] = [
    "conv1.conv.weight",
    "res1.conv3.weight",
    "res2.conv3.weight",
    "res3.conv3.weight",
    "res4.conv3.weight",
    "res5a.conv3.weight",
];

/// The weights in the bytes of a file that Keras saved; whether planar or spatial and how wide, the file tells.
///
/// # Errors
/// When the bytes are no HDF5 file, damaged, or hold another network or one that is too large, or weights are missing,
/// not stored as float32 or not finite.
pub fn read_weights(bytes: Vec<u8>) -> Result<Weights, KerasError> {
    let [convolutions, normalisations] = read_layers(bytes)?.map(|layers| layers.into_values().collect::<Vec<_>>());
    if (convolutions.len(), normalisations.len()) != (CONVOLUTIONS, NORMALISATIONS) {
        let (convolutions, normalisations) = (convolutions.len(), normalisations.len());
        return Err(KerasError::OtherNetwork { convolutions, normalisations });
    }
    let config = config_of(&convolutions)?;
    // The tensors of a layer follow each other; a layer's first one is its kernel or gamma.
    let (mut convolutions, mut normalisations) = (convolutions.iter(), normalisations.iter());
    let (mut layer, mut tensors) = (None, Vec::new());
    for spec in config.tensors() {
        layer = match spec.role {
            Role::Kernel => convolutions.next(),
            Role::Gamma => normalisations.next(),
            _ => layer,
        };
        let Some(layer) = layer else { unreachable!("{}: the layers were counted", spec.name) };
        tensors.push(values(layer, &spec, config.dimensions)?);
    }
    let mut tensors = tensors.into_iter();
    Ok(Weights::from_fn(config, |_| tensors.next().unwrap_or_default())?)
}

/// Which network has these convolutions, all of them in their order.
fn config_of(convolutions: &[Layer]) -> Result<NetworkConfig, KerasError> {
    // The order of the layers depends neither on the widths nor on the dimensions.
    let tensors = NetworkConfig::RA_UNET_II.tensors();
    let names = tensors.iter().filter(|spec| spec.role == Role::Kernel).map(|spec| &spec.name);
    let mut dimensions = Dimensions::Spatial;
    let mut widths = [0; 6];
    for (name, layer) in names.zip(convolutions) {
        let Some(level) = WIDTHS.iter().position(|width| width == name) else { continue };
        let (width, of_kernel) = match layer.array("kernel")?.shape() {
            // Keras has the outputs last.
            [_, _, _, width] => (*width, Dimensions::Planar),
            [_, _, _, _, width] => (*width, Dimensions::Spatial),
            found => return Err(KerasError::Kernel { layer: layer.name.clone(), found: found.to_vec() }),
        };
        if width > MOST_CHANNELS {
            return Err(KerasError::TooLarge);
        }
        (widths[level], dimensions) = (width as usize, of_kernel);
    }
    let config = NetworkConfig::new(dimensions, widths)?;
    // Arrays that were made but never written take no room in the file.
    if bytes_of_weights(&config).is_none_or(|bytes| bytes > MOST_GIB << 30) {
        return Err(KerasError::TooLarge);
    }
    Ok(config)
}

/// Bytes of a network's weights as f32; `None` when they are too many to count.
fn bytes_of_weights(config: &NetworkConfig) -> Option<u64> {
    config.tensors().iter().try_fold(0_u64, |sum, spec| {
        let bytes = spec.shape.iter().try_fold(4_u64, |bytes, &side| bytes.checked_mul(side as u64))?;
        sum.checked_add(bytes)
    })
}

/// The values of a tensor in hepar's order.
fn values(layer: &Layer, spec: &TensorSpec, dimensions: Dimensions) -> Result<Vec<f32>, KerasError> {
    let part = part_of(spec.role);
    let (array, expected) = (layer.array(part)?, shape_in_keras(spec, dimensions));
    if array.shape() != expected {
        let (layer, found, tensor) = (layer.name.clone(), array.shape().to_vec(), spec.name.clone());
        return Err(KerasError::Shape { layer, part, found, tensor, expected });
    }
    if !matches!(array.dtype(), Datatype::FloatingPoint { size: 4, .. }) {
        return Err(KerasError::Type { layer: layer.name.clone(), part, found: type_name(array.dtype()) });
    }
    let array = array.read_array::<f32>().map_err(broken)?;
    Ok(array.reversed_axes().iter().copied().collect())
}

/// What Keras calls the type of an array.
fn type_name(datatype: &Datatype) -> String {
    match datatype {
        Datatype::FloatingPoint { size, .. } => format!("float{}", 8 * u16::from(*size)),
        Datatype::FixedPoint { size, .. } => format!("int{}", 8 * u16::from(*size)),
        _ => "something else than numbers".to_owned(),
    }
}

/// The sides of a tensor as Keras has them: all in the other order, and none along z in planar kernels.
fn shape_in_keras(spec: &TensorSpec, dimensions: Dimensions) -> Vec<u64> {
    let mut shape: Vec<u64> = spec.shape.iter().rev().map(|&side| side as u64).collect();
    if spec.role == Role::Kernel && dimensions == Dimensions::Planar {
        // [x, y, 1, in, out]
        shape.remove(2);
    }
    shape
}
