use hepar_model::topology::WidthError;
use hepar_model::weights::WeightsError;

/// Why a file gives no weights of RA-UNet. The texts follow the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KerasError {
    /// The bytes are something else.
    #[error("it is no HDF5 file; weights are read from the .h5 files that Keras saves")]
    NotHdf5,
    /// The bytes are cut off, changed, or stored in a way that is not read.
    #[error("its HDF5 structure cannot be read ({0}). Is the copy complete?")]
    Broken(String),
    /// The file has too many or too few layers.
    #[error(
        "it holds {convolutions} convolutions and {normalisations} batch normalisations; one RA-UNet has \
         {CONVOLUTIONS} and {NORMALISATIONS}"
    )]
    OtherNetwork {
        /// Layers called `conv2d…` or `conv3d…`.
        convolutions: usize,
        /// Layers called `batch_normalization…`.
        normalisations: usize,
    },
    /// Nothing tells in which order the layers were made.
    #[error("its layers have no names, which alone tell their order; save the weights again with a newer Keras")]
    NoNames,
    /// The file has two arrays for one place.
    #[error("it holds the {part} of the layer {layer} twice")]
    Twice {
        /// Keras' name of the layer.
        layer: String,
        /// Which of its weights.
        part: &'static str,
    },
    /// An array is not there.
    #[error("the layer {layer} has no {part}")]
    Missing {
        /// Keras' name of the layer.
        layer: String,
        /// Which of its weights.
        part: &'static str,
    },
    /// An array has another shape than in RA-UNet of the file's widths.
    #[error(
        "the {part} of the layer {layer} has the shape {found:?}; in RA-UNet, where it is {tensor}, it has {expected:?}"
    )]
    Shape {
        /// Keras' name of the layer.
        layer: String,
        /// Which of its weights.
        part: &'static str,
        /// Shape in the file.
        found: Vec<u64>,
        /// hepar's name of the tensor.
        tensor: String,
        /// Shape that it should have, as Keras orders it.
        expected: Vec<u64>,
    },
    /// The first kernel is none of a planar or spatial convolution.
    #[error(
        "the kernel of the layer {layer} has the shape {found:?}; planar kernels have four sides, spatial ones five"
    )]
    Kernel {
        /// Keras' name of the layer.
        layer: String,
        /// Shape in the file.
        found: Vec<u64>,
    },
    /// An array is stored in another type.
    #[error("the {part} of the layer {layer} is stored as {found}; weights are read from float32")]
    Type {
        /// Keras' name of the layer.
        layer: String,
        /// Which of its weights.
        part: &'static str,
        /// Its type in the file.
        found: String,
    },
    /// The network is larger than any that is read.
    #[error(
        "its layers claim more than {MOST_CHANNELS} channels or {MOST_GIB} GiB of weights; no network that large is read"
    )]
    TooLarge,
    /// The widths are those of no RA-UNet.
    #[error(transparent)]
    Widths(#[from] WidthError),
    /// The values are no weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Convolutions of a RA-UNet.
pub(super) const CONVOLUTIONS: usize = 219;

/// Batch normalisations of a RA-UNet.
pub(super) const NORMALISATIONS: usize = 158;

/// The most channels of a level; the article's deepest has 512.
pub(super) const MOST_CHANNELS: u64 = 4096;

/// The most weights of a network, in GiB as f32; the article's has 18 MB.
pub(super) const MOST_GIB: u64 = 1;
