//! Variants for machines with another word size or another instruction set, built by
//! scripts/other-targets.sh and run by `make check-32` and `make check-arm`, and of the small
//! build, run by `make check-embedded`. They run only when `MEMOMAN_VARIANTS` names them.

use super::variant::{Exceptions, PLAIN, Variant};
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

/// The small library has no observers.
const SMALL: Exceptions = &[(
    "Sets an observer or a handler of exhausted requests.",
    &[
        "observe_every_call_for_a_block_is_one_event",
        "observe_calls_without_effect_are_no_events",
        "observe_failed_requests_are_events",
        "observe_pools_and_reset_are_events",
        "observe_an_observer_changes_nothing",
        "observe_removed_it_is_called_no_more",
        "observe_a_call_back_is_reported_and_has_no_effect",
        "observe_misuse_is_reported_and_is_no_event",
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
