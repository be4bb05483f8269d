//! The builds in which the suite runs.

use std::collections::BTreeSet;

/// A way to build the library and the programs.
#[derive(Clone)]
pub(crate) struct Variant {
    /// Its name in test names and in `MEMOMAN_VARIANTS`.
    pub(crate) name: &'static str,
    /// What `scripts/build-lib.sh` calls the library's build.
    pub(crate) library: &'static str,
    /// The C compiler, if not the default one.
    pub(crate) compiler: Option<&'static str>,
    /// Flags for compiling and linking.
    pub(crate) flags: &'static [&'static str],
    /// Environment of the programs; the caller's settings win.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// The programs, if not all of them.
    pub(crate) programs: Option<&'static [&'static str]>,
    /// Tests that cannot hold in this build, by reason.
    pub(crate) except: Exceptions,
}

/// Reasons, each with the tests (group and name) that it excludes.
pub(crate) type Exceptions = &'static [(&'static str, &'static [&'static str])];

impl Variant {
    /// The library's file in its build's folder.
    pub(crate) fn archive(&self) -> &'static str {
        match self.library {
            "debug" => "libmemoman-debug.a",
            _ => "libmemoman.a",
        }
    }
}

/// `abort_on_error`: the suite's own handler then writes the log of operations.
const ASAN_OPTIONS: (&str, &str) = (
    "ASAN_OPTIONS",
    "abort_on_error=1:detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1",
);
const UBSAN_OPTIONS: (&str, &str) = ("UBSAN_OPTIONS", "print_stacktrace=1:abort_on_error=1");
const TSAN_OPTIONS: (&str, &str) = (
    "TSAN_OPTIONS",
    "halt_on_error=1:history_size=7:abort_on_error=1:second_deadlock_stack=1",
);

/// The release library, and programs of the default compiler.
pub(crate) const PLAIN: Variant = Variant {
    name: "plain",
    library: "release",
    compiler: None,
    flags: &["-O2"],
    environment: &[],
    programs: None,
    except: &[],
};

/// The variants that run by default.
pub(crate) fn all() -> Vec<Variant> {
    vec![
        PLAIN,
        Variant {
            name: "dev",
            library: "dev",
            compiler: None,
            flags: &["-O1"],
            environment: &[("MM_OPS", "40000"), ("MM_FORKS", "300")],
            programs: None,
            except: &[],
        },
        Variant {
            name: "asan",
            library: "asan",
            compiler: None,
            flags: &[
                "-O1",
                "-fsanitize=address,undefined",
                "-fno-sanitize-recover=all",
                "-fno-omit-frame-pointer",
            ],
            environment: &[
                ASAN_OPTIONS,
                UBSAN_OPTIONS,
                ("MM_OPS", "40000"),
                ("MM_FORKS", "200"),
            ],
            programs: None,
            except: &[],
        },
        Variant {
            // The released library in a program under AddressSanitizer: it poisons all but live
            // blocks.
            name: "watched",
            library: "release",
            compiler: None,
            flags: &["-O1", "-fsanitize=address", "-fno-omit-frame-pointer"],
            environment: &[ASAN_OPTIONS, ("MM_OPS", "40000"), ("MM_FORKS", "100")],
            // Left out: programs that damage heaps (inspect, misuse, bad_input) or use no handle,
            // and fit, whose thousands of sparse pools of up to a terabyte take minutes in shadow
            // memory.
            programs: Some(&[
                "accounting",
                "alignment",
                "exhausted",
                "extend",
                "observe",
                "pools",
                "pools_small",
                "realloc",
                "record",
                "sizes",
                "split",
                "stress",
                "two_allocators",
            ]),
            except: &[
                (
                    "Compares the pool byte by byte, its headers and free blocks included.",
                    &[
                        "F_eight_factorial_free_orders_end_in_one_block_bit_for_bit",
                        "F_every_sequence_ends_bit_identical_to_its_start",
                    ],
                ),
                (
                    "AddressSanitizer writes an eighth of a block's size when it is allocated.",
                    &[
                        "A_one_block_of_1_tib",
                        "F_merges_across_gaps_over_2_to_the_32",
                    ],
                ),
            ],
        },
        Variant {
            name: "tsan",
            library: "tsan",
            // gcc's runtime lacks functions that Rust's instrumentation calls.
            compiler: Some("clang-22"),
            flags: &["-O1", "-fsanitize=thread"],
            environment: &[TSAN_OPTIONS, ("MM_OPS", "20000"), ("MM_FORKS", "50")],
            programs: Some(&["two_allocators", "threads", "fork_global", "global"]),
            except: &[],
        },
        Variant {
            name: "debug",
            library: "debug",
            compiler: None,
            flags: &["-O1"],
            environment: &[
                ("MM_OPS", "20000"),
                ("MM_FORKS", "100"),
                ("MM_DEBUG_VALIDATE_SHIFT", "8"),
            ],
            programs: None,
            except: super::debug::EXCEPTIONS,
        },
    ]
}

/// The selected variants: those in `MEMOMAN_VARIANTS`, or the default ones.
pub(crate) fn wanted() -> BTreeSet<String> {
    std::env::var("MEMOMAN_VARIANTS")
        .unwrap_or_else(|_| {
            "plain,dev,asan,watched,tsan,debug,preload,preload-debug,misuse,misuse-debug,cases,\
             planted"
                .into()
        })
        .split([',', ' '])
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
