//! Variants for machines with another word size or another instruction set, built by
//! scripts/other-targets.sh and run by `make check-32` and `make check-arm`, and of the small
//! build, run by `make check-embedded`. They run only when `MEMOMAN_VARIANTS` names them.

use super::variant::{PLAIN, Variant};
use std::path::Path;
use std::process::Command;

/// Cross-compilation for 32-bit ARM: clang with Debian's cross C library.
const ARM: &[&str] = &[
    "-O2",
    "--target=arm-linux-gnueabihf",
    "--sysroot=/",
    "-fuse-ld=lld",
    "-isystem",
    "/usr/arm-linux-gnueabihf/include",
    "-B/usr/arm-linux-gnueabihf/lib",
    "-L/usr/arm-linux-gnueabihf/lib",
    "-B/usr/lib/gcc-cross/arm-linux-gnueabihf/12",
    "-L/usr/lib/gcc-cross/arm-linux-gnueabihf/12",
];

/// 32-bit x86, the small build, and 32-bit ARM, which is emulated and so makes fewer operations.
pub(crate) fn all() -> Vec<Variant> {
    vec![
        Variant {
            name: "i686",
            library: "i686",
            compiler: Some("gcc"),
            flags: &["-O2", "-m32"],
            ..PLAIN
        },
        Variant {
            name: "small",
            library: "small",
            ..PLAIN
        },
        Variant {
            name: "i686-small",
            library: "i686-small",
            compiler: Some("gcc"),
            flags: &["-O2", "-m32"],
            ..PLAIN
        },
        Variant {
            name: "arm",
            library: "arm",
            compiler: Some("clang-22"),
            flags: ARM,
            environment: &[("MM_OPS", "20000"), ("MM_FORKS", "50")],
            ..PLAIN
        },
    ]
}

/// The command that runs a variant's program.
pub(crate) fn command_for(variant: &Variant, program: &Path) -> Command {
    if variant.name == "arm" {
        let mut command = Command::new("qemu-arm");
        command
            .args(["-L", "/usr/arm-linux-gnueabihf"])
            .arg(program);
        command
    } else {
        Command::new(program)
    }
}
