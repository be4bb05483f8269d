//! Variants for machines with another word size or another instruction set, built by
//! scripts/other-targets.sh and run by `make check-32`, `make check-arm` and `make check-linux`,
//! and of the small build, run by `make check-embedded`. They run only when `MEMOMAN_VARIANTS`
//! names them.

use super::variant::{Exceptions, PLAIN, Variant};
use std::path::Path;
use std::process::Command;

/// Cross-compilation: clang with Debian's cross C library of this name.
macro_rules! cross {
    ($name:literal $(, $more:literal)*) => {
        &[
            "-O2",
            concat!("--target=", $name),
            "--sysroot=/",
            "-fuse-ld=lld",
            "-isystem",
            concat!("/usr/", $name, "/include"),
            concat!("-B/usr/", $name, "/lib"),
            concat!("-L/usr/", $name, "/lib"),
            concat!("-B/usr/lib/gcc-cross/", $name, "/12"),
            concat!("-L/usr/lib/gcc-cross/", $name, "/12"),
            $($more),*
        ]
    };
}

/// A Linux for another processor, emulated, so that its programs make fewer operations: a fork
/// under load takes a second.
const EMULATED: Variant = Variant {
    compiler: Some("clang-22"),
    environment: &[("MM_OPS", "20000"), ("MM_FORKS", "10")],
    ..PLAIN
};

/// The small library has no observers.
const SMALL: Exceptions = &[(
    "Sets an observer or a handler of exhausted requests.",
    &[
        "observe_every_call_for_a_block_is_one_event",
        "observe_calls_without_effect_are_no_events",
        "observe_failed_requests_are_events",
        "observe_pools_and_reset_are_events",
        "observe_an_observer_changes_no_result",
        "observe_removed_it_is_called_no_more",
        "observe_a_call_back_is_reported_and_has_no_effect",
        "observe_misuse_is_reported_and_is_no_event",
        "observe_wild_pointers_are_reported_and_are_no_events",
        "observe_damage_of_the_control_structure_is_found",
        "observe_an_overwritten_observer_is_not_called",
        "observe_an_exhausted_request_gets_a_pool_and_is_served",
        "observe_one_retry_only_and_the_refusal_is_counted_once",
        "observe_the_handler_may_free_a_block_and_nothing_else",
        "observe_a_handler_that_allocates_is_reported",
        "observe_observer_and_handler_together",
        "record_events_are_records",
        "record_a_late_start_sends_the_blocks_in_use",
        "record_the_header_comes_again_every_256_records",
    ],
)];

/// 32-bit x86, the small build, and Linux on other processors.
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
            except: SMALL,
            ..PLAIN
        },
        Variant {
            name: "i686-small",
            library: "i686-small",
            compiler: Some("gcc"),
            flags: &["-O2", "-m32"],
            except: SMALL,
            ..PLAIN
        },
        Variant {
            name: "arm",
            library: "arm",
            flags: cross!("arm-linux-gnueabihf"),
            ..EMULATED
        },
        Variant {
            name: "aarch64",
            library: "aarch64",
            flags: cross!("aarch64-linux-gnu"),
            ..EMULATED
        },
        Variant {
            name: "riscv64",
            library: "riscv64",
            flags: cross!("riscv64-linux-gnu", "-march=rv64gc", "-mabi=lp64d"),
            ..EMULATED
        },
        Variant {
            name: "s390x",
            library: "s390x",
            flags: cross!("s390x-linux-gnu"),
            ..EMULATED
        },
    ]
}

/// The command that runs a variant's program.
pub(crate) fn command_for(variant: &Variant, program: &Path) -> Command {
    // The cross C library's folder in /usr.
    let target = variant
        .flags
        .iter()
        .find_map(|flag| flag.strip_prefix("--target="));
    let (Some(target), Some(processor)) = (target, target.and_then(|name| name.split('-').next()))
    else {
        return Command::new(program);
    };
    let mut command = Command::new(format!("qemu-{processor}"));
    command.args(["-L", &format!("/usr/{target}")]).arg(program);
    command
}
