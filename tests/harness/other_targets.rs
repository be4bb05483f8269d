//! Variants for machines with another word size or another instruction set, built by scripts/other-targets.sh and
//! run by `make check-32` and `make check-arm`, and of the small build, run by `make check-embedded`: not part of what runs when no variant is asked for.

use super::variant::Variant;
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

/// 32-bit x86, which the machine runs itself, and 32-bit ARM, emulated and therefore with fewer operations.
pub(crate) fn all() -> Vec<Variant> {
    vec![
        Variant {
            name: "i686",
            library: "i686",
            compiler: Some("gcc"),
            flags: &["-O2", "-m32"],
            environment: &[],
            programs: None,
            except: &[],
        },
        Variant {
            name: "small",
            library: "small",
            compiler: None,
            flags: &["-O2"],
            environment: &[],
            programs: None,
            except: &[],
        },
        Variant {
            name: "i686-small",
            library: "i686-small",
            compiler: Some("gcc"),
            flags: &["-O2", "-m32"],
            environment: &[],
            programs: None,
            except: &[],
        },
        Variant {
            name: "arm",
            library: "arm",
            compiler: Some("clang-22"),
            flags: ARM,
            environment: &[("MM_OPS", "20000"), ("MM_FORKS", "50")],
            programs: None,
            except: &[],
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
