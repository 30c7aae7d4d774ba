//! Which instruction set the kernels run on.

use std::sync::OnceLock;

use pulp::Arch;

/// Environment variable that forces an instruction set: `portable` or `avx2`; anything else is the best there is.
pub const FORCE: &str = "HEPAR_ISA";

/// The instruction set in use: the best of the processor unless [`FORCE`] says otherwise.
pub(crate) fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(|| forced(&std::env::var(FORCE).unwrap_or_default()).unwrap_or_default())
}

/// The instruction set of that name, if it has to be forced and the processor has it.
fn forced(name: &str) -> Option<Arch> {
    match name {
        "portable" => Some(Arch::Scalar),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        "avx2" => pulp::x86::V3::try_new().map(Arch::V3),
        _ => None,
    }
}

/// Output channels whose sums a kernel keeps in registers; packed weights come in blocks of so many.
///
/// Instruction sets with 32 registers hold 8 channels of 3 vectors, those with 16 hold 4.
pub(crate) fn block() -> usize {
    match arch() {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Arch::V3(_) => 4,
        _ => 8,
    }
}

/// Output channels of the narrowest layers, for which a block of [`block`] would be half empty.
pub(crate) const FEW: usize = 4;

/// [`block`], for a layer with so many output channels.
pub(crate) fn block_of(outputs: usize) -> usize {
    if outputs <= FEW { FEW } else { block() }
}

/// Whether a kernel for blocks of `C` channels meets a layer whose blocks have [`FEW`].
#[inline(always)]
pub(crate) fn has_few<const C: usize>(outputs: usize) -> bool {
    C > FEW && outputs <= FEW
}

/// Name of the instruction set in use, for manifests.
pub fn name() -> &'static str {
    match arch() {
        Arch::Scalar => "portable",
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Arch::V3(_) => "AVX2, FMA",
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        Arch::V4(_) => "AVX-512",
        #[cfg(target_arch = "aarch64")]
        Arch::Neon(_) => "NEON",
        _ => "other",
    }
}
