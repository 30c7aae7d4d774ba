//! Which instruction set the kernels run on.

use std::sync::OnceLock;

use pulp::Arch;

/// Environment variable that forces an instruction set: `portable`; anything else is the best there is.
pub const FORCE: &str = "HEPAR_ISA";

/// The instruction set in use: the best of the processor unless [`FORCE`] says otherwise.
pub(crate) fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(|| match std::env::var(FORCE).as_deref() {
        Ok("portable") => Arch::Scalar,
        _ => Arch::new(),
    })
}

/// Name of the instruction set in use, for manifests: e.g. `V4` (AVX-512), `V3` (AVX2 and FMA), `Scalar`.
pub fn name() -> String {
    let name = format!("{:?}", arch());
    name.split('(').next().unwrap_or_default().to_owned()
}
