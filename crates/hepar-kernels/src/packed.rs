//! Kernels by blocks of output channels, as the kernels that keep a block's sums in registers read them.

/// `weights`, `[outputs, terms]`, as `[block, term, channel of the block]` with blocks of `block` channels; zeros where
/// there are no more channels.
pub(crate) fn packed(weights: &[f32], outputs: usize, block: usize) -> Vec<f32> {
    let terms = weights.len() / outputs;
    let mut packed = vec![0.0; outputs.div_ceil(block) * terms * block];
    for (output, kernel) in weights.chunks_exact(terms.max(1)).enumerate() {
        let to = &mut packed[output / block * terms * block..][..terms * block];
        for (to, weight) in to.chunks_exact_mut(block).zip(kernel) {
            to[output % block] = *weight;
        }
    }
    packed
}

/// The same of `weights`, `[terms, outputs]`.
pub(crate) fn packed_transposed(weights: &[f32], outputs: usize, block: usize) -> Vec<f32> {
    let terms = weights.len() / outputs;
    let mut packed = vec![0.0; outputs.div_ceil(block) * terms * block];
    for (term, row) in weights.chunks_exact(outputs).enumerate() {
        for (at, channels) in row.chunks(block).enumerate() {
            packed[(at * terms + term) * block..][..channels.len()].copy_from_slice(channels);
        }
    }
    packed
}

/// A value a channel, zeros behind them up to a whole number of blocks.
pub(crate) fn padded(values: &[f32], block: usize) -> Vec<f32> {
    let mut padded = values.to_vec();
    padded.resize(values.len().next_multiple_of(block), 0.0);
    padded
}
