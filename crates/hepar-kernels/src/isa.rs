//! Which instruction set the kernels run on.

use std::sync::OnceLock;

use pulp::Arch;

/// Environment variable that forces an instruction set, for tests: `portable`, `avx2`, `avx512` or `neon`. What the
/// processor lacks, and any other name, ends the program.
pub const FORCE: &str = "HEPAR_ISA";

/// The instruction set in use: the best of the processor unless [`FORCE`] says otherwise.
///
/// # Panics
/// When the one that is forced is not there: a test that was to run on it must not pass on another one.
pub(crate) fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(|| match std::env::var(FORCE) {
        Ok(name) if !name.is_empty() => {
            let arch = forced(&name);
            assert!(arch.is_some(), "{FORCE}={name} is none of portable, avx2, avx512, neon that this processor has");
            arch.unwrap_or_default()
        }
        _ => Arch::default(),
    })
}

/// The instruction set of that name, if the processor has it.
fn forced(name: &str) -> Option<Arch> {
    match name {
        "portable" => Some(Arch::Scalar),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        "avx2" => pulp::x86::V3::try_new().map(Arch::V3),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        "avx512" => pulp::x86::V4::try_new().map(Arch::V4),
        #[cfg(target_arch = "aarch64")]
        "neon" => pulp::aarch64::Neon::try_new().map(Arch::Neon),
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

/// Vectors whose sums are kept in registers for [`FEW`] channels, where 8 channels of 3 vectors fit too.
pub(crate) const FEW_VECTORS: usize = 6;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instruction_set_in_use_is_the_one_that_is_forced() {
        let expected = match std::env::var(FORCE).as_deref() {
            Ok("portable") => Some("portable"),
            Ok("avx2") => Some("AVX2, FMA"),
            Ok("avx512") => Some("AVX-512"),
            Ok("neon") => Some("NEON"),
            _ => None,
        };
        assert!(expected.is_none_or(|expected| name() == expected), "{}", name());
        assert!(forced("avx1024").is_none() && forced("portable").is_some());
    }
}
