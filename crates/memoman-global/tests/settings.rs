//! The settings in the environment, and the messages about them on stderr.

mod support;

use memoman_global as heap;
use support::{BEHIND, PAGE, alone, errno, free, limit, pool_pages, quietly, status};

const MIB: usize = 1 << 20;

#[test]
fn a_reserve_is_the_first_pool_and_in_memory_at_once() {
    quietly(
        "a_reserve_is_the_first_pool_and_in_memory_at_once",
        &[("MEMOMAN_RESERVE", "12M")],
        || {
            let before = status("VmRSS:");
            assert!(heap::handle().is_some());
            assert_eq!(pool_pages(), 12 * 16);
            assert!(status("VmRSS:") - before >= 11 << 10);
            // It stays in memory: trimming releases none of it.
            let block = heap::malloc(8 * MIB);
            // SAFETY: a live block.
            unsafe { block.add(4 * MIB).write(0x77) };
            free(block);
            assert!(!heap::trim(0));
            let again = heap::malloc(8 * MIB);
            assert_eq!(again, block);
            // SAFETY: a live block whose memory was written before.
            assert_eq!(unsafe { again.add(4 * MIB).read() }, 0x77);
            // What the reserve cannot hold gets a mapping of its own, of which 2 MiB are kept, but
            // for the first one in the shim.
            let other = heap::malloc(8 * MIB - BEHIND);
            assert_eq!(pool_pages(), 12 * 16 + 128);
            free(other);
            let kept = if cfg!(feature = "late-checks") { 0 } else { 32 };
            assert_eq!(pool_pages(), 12 * 16 + kept);
        },
    );
}

#[test]
fn a_reserve_is_rounded_up_to_regions() {
    quietly(
        "a_reserve_is_rounded_up_to_regions",
        &[("MEMOMAN_RESERVE", "65537")],
        || {
            free(heap::malloc(1));
            assert_eq!(pool_pages(), 2);
        },
    );
}

#[test]
fn without_growth_the_reserve_is_all() {
    quietly(
        "without_growth_the_reserve_is_all",
        &[("MEMOMAN_RESERVE", "2m"), ("MEMOMAN_GROW", "0")],
        || {
            let block = heap::malloc(MIB);
            heap::set_errno(0);
            assert!(heap::malloc(MIB + PAGE).is_null());
            assert_eq!(errno(), libc::ENOMEM);
            assert_eq!(heap::stats().failed_requests, 1);
            assert_eq!(pool_pages(), 32);
            free(block);
            assert!(!heap::trim(0));
            assert_eq!(pool_pages(), 32);
        },
    );
}

#[test]
fn without_growth_and_reserve_there_is_one_region() {
    quietly(
        "without_growth_and_reserve_there_is_one_region",
        &[("MEMOMAN_GROW", "0")],
        || {
            assert!(heap::malloc(2 * MIB).is_null());
            free(heap::malloc(1000));
            assert_eq!(pool_pages(), 16);
            assert_eq!(heap::stats().failed_requests, 1);
        },
    );
}

#[test]
fn growth_can_be_set() {
    quietly(
        "growth_can_be_set",
        &[
            ("MEMOMAN_GROW", "1"),
            ("MEMOMAN_LOCK", "0"),
            ("MEMOMAN_STATS", "0"),
        ],
        || {
            assert!(!heap::malloc(2 * MIB - BEHIND).is_null());
            assert_eq!(pool_pages(), 16 + 32);
            assert_eq!(status("VmLck:"), 0);
        },
    );
}

#[test]
fn a_reserve_that_the_system_does_not_have_is_reported_and_ignored() {
    let end = alone(
        "a_reserve_that_the_system_does_not_have_is_reported_and_ignored",
        &[("MEMOMAN_RESERVE", "64G")],
        || {
            limit(libc::RLIMIT_AS, 4 << 30);
            assert!(!heap::malloc(100).is_null());
            assert_eq!(pool_pages(), 16);
        },
    );
    if let Some(end) = end {
        assert_eq!(
            end.stderr,
            "memoman: MEMOMAN_RESERVE ignored: the system has no region of 68719476736 bytes\n"
        );
    }
}

#[test]
fn when_the_system_has_no_memory_a_request_fails_and_nothing_else_does() {
    quietly(
        "when_the_system_has_no_memory_a_request_fails_and_nothing_else_does",
        &[],
        || {
            let block = heap::malloc(1000);
            limit(libc::RLIMIT_AS, (status("VmSize:") << 10) + 8 * MIB);
            for bytes in [
                64 * MIB,
                1 << 40,
                usize::MAX / 2,
                usize::MAX - 64,
                usize::MAX,
            ] {
                heap::set_errno(0);
                assert!(heap::malloc(bytes).is_null(), "{bytes:#x}");
                assert_eq!(errno(), libc::ENOMEM);
                heap::set_errno(0);
                // SAFETY: a live block.
                assert!(unsafe { heap::realloc(block, bytes) }.is_null());
                assert_eq!(errno(), libc::ENOMEM);
                assert!(heap::memalign(64, bytes).is_null());
                assert!(heap::calloc(1, bytes).is_null());
            }
            assert_eq!(heap::stats().failed_requests, 5 * 4);
            assert!(!heap::malloc(MIB).is_null());
            assert!(heap::validate());
        },
    );
}

/// Allocates small blocks until the heap grows, while the system has so much room, which is too
/// little for an ordinary region. Returns the pages of the new one.
fn pages_of_the_next_region(room: usize) -> usize {
    limit(libc::RLIMIT_AS, (status("VmSize:") << 10) + room);
    let before = pool_pages();
    while pool_pages() == before {
        assert!(!heap::malloc(1000).is_null());
    }
    pool_pages() - before
}

#[test]
fn where_the_system_has_less_a_region_is_a_quarter() {
    quietly(
        "where_the_system_has_less_a_region_is_a_quarter",
        &[],
        || {
            while heap::stats().used < 1900 << 10 {
                heap::malloc(1000);
            }
            assert_eq!(pages_of_the_next_region(MIB / 2), 4);
        },
    );
}

#[test]
fn where_the_system_has_little_a_region_is_as_small_as_the_request_needs() {
    let name = "where_the_system_has_little_a_region_is_as_small_as_the_request_needs";
    quietly(name, &[], || {
        // A segment is a sixteenth of the heap: here 112 KiB, a region of three pages.
        while heap::stats().used < 1900 << 10 {
            heap::malloc(1000);
        }
        assert_eq!(pages_of_the_next_region(MIB / 5), 1);
        // It holds a segment for such requests, with its headers: 16 of them.
        let before = pool_pages();
        assert!((1..16).all(|_| !heap::malloc(1000).is_null()));
        assert_eq!(pool_pages(), before);
    });
}

#[test]
fn a_block_that_realloc_has_to_leave_where_it_is_counts_no_refusal() {
    let name = "a_block_that_realloc_has_to_leave_where_it_is_counts_no_refusal";
    quietly(name, &[], || {
        let large = heap::malloc(MIB);
        limit(libc::RLIMIT_AS, status("VmSize:") << 10);
        while !heap::malloc(60_000).is_null() {}
        let refused = heap::stats().failed_requests;
        assert!(refused > 0);
        heap::set_errno(77);
        // SAFETY: a live block, which stays where it is.
        assert_eq!(unsafe { heap::realloc(large, 60_000) }, large);
        assert_eq!(errno(), 77);
        assert_eq!(heap::stats().failed_requests, refused);
    });
}

#[test]
fn pools_are_locked_in_memory() {
    quietly(
        "pools_are_locked_in_memory",
        &[("MEMOMAN_LOCK", "1")],
        || {
            assert!(heap::handle().is_some());
            assert_eq!(status("VmLck:"), 1024);
            assert!(!heap::malloc(2 * MIB - BEHIND).is_null());
            assert_eq!(status("VmLck:"), 1024 + 32 * 64);
        },
    );
}

#[test]
fn with_a_reserve_the_first_thread_heap_and_the_map_are_locked_too() {
    let name = "with_a_reserve_the_first_thread_heap_and_the_map_are_locked_too";
    let variables = &[("MEMOMAN_LOCK", "1"), ("MEMOMAN_RESERVE", "1M")];
    quietly(name, variables, || {
        assert!(heap::handle().is_some());
        // The first thread heap and the map's words: a few pages.
        let locked = status("VmLck:");
        assert!((1024 + 8..1024 + 32).contains(&locked), "{locked}");
        free(heap::malloc(100));
        assert_eq!(status("VmLck:"), locked);
    });
}

#[test]
fn a_region_that_cannot_be_locked_is_reported_once() {
    let end = alone(
        "a_region_that_cannot_be_locked_is_reported_once",
        &[("MEMOMAN_LOCK", "1")],
        || {
            limit(libc::RLIMIT_MEMLOCK, 0);
            // SAFETY: setuid has no precondition. Without root's privileges the limit is in force.
            unsafe { libc::setuid(65534) };
            assert!(!heap::malloc(100).is_null());
            assert!(!heap::malloc(2 * MIB - BEHIND).is_null());
            assert_eq!(pool_pages(), 16 + 32);
        },
    );
    if let Some(end) = end {
        assert_eq!(
            end.stderr,
            "memoman: MEMOMAN_LOCK: cannot keep 1048576 bytes in memory (errno 1): raise the limit, see ulimit -l\n"
        );
    }
}

#[test]
fn statistics_are_printed_at_exit() {
    let end = alone(
        "statistics_are_printed_at_exit",
        &[("MEMOMAN_STATS", "1"), ("MEMOMAN_GROW", "0")],
        || {
            let blocks = [(); 3].map(|()| heap::malloc(1000));
            free(blocks[1]);
            assert!(heap::malloc(2 * MIB).is_null());
            heap::set_errno(5);
            // SAFETY: a live block.
            let moved = unsafe { heap::realloc(blocks[0], 2000) };
            assert!(!moved.is_null());
            assert_eq!(errno(), 5);
        },
    );
    if let Some(end) = end {
        let mut lines = end.stderr.lines();
        let head = lines.next().unwrap_or_default();
        let (program, process) = head.split_once(", process ").unwrap();
        assert!(program.starts_with("memoman: settings"), "{head}");
        assert!(process.parse::<u32>().is_ok(), "{head}");
        let (table, largest): (Vec<_>, Vec<_>) =
            lines.partition(|line| !line.starts_with("memoman: largest free"));
        assert_eq!(
            table,
            [
                "memoman: allocations                   4",
                "memoman: live blocks                   2",
                "memoman: used bytes                 3024",
                "memoman: peak bytes                 3024",
                // The thread's segment takes four quanta for itself.
                "memoman: free bytes              1045440",
                "memoman: pool bytes              1048576",
                "memoman: failed requests               1",
            ]
        );
        // The segment's place in the region depends on the region's address.
        let largest: usize = largest[0]
            .split_whitespace()
            .last()
            .unwrap()
            .parse()
            .unwrap();
        assert!((MIB - (64 << 10) - 2 * PAGE..MIB - (64 << 10)).contains(&largest));
    }
}

#[test]
fn statistics_are_printed_whatever_the_first_use_was() {
    let name = "statistics_are_printed_whatever_the_first_use_was";
    if let Some(end) = alone(name, &[("MEMOMAN_STATS", "1")], || {
        assert!(heap::handle().is_some());
    }) {
        assert_eq!(end.stderr.lines().count(), 9);
    }
}

#[test]
fn the_table_can_be_printed_at_any_time() {
    let end = alone("the_table_can_be_printed_at_any_time", &[], || {
        free(heap::malloc(1000));
        heap::set_errno(7);
        heap::print_table();
        assert_eq!(errno(), 7);
    });
    if let Some(end) = end {
        assert_eq!(end.stderr.lines().count(), 9);
        assert!(
            end.stderr
                .contains("\nmemoman: allocations                   1\n")
        );
    }
}

#[test]
fn a_malformed_value_is_reported_and_ignored() {
    let end = alone(
        "a_malformed_value_is_reported_and_ignored",
        &[
            ("MEMOMAN_RESERVE", "12T"),
            ("MEMOMAN_GROW", "no"),
            ("MEMOMAN_LOCK", "yes"),
            (
                "MEMOMAN_STATS",
                "0123456789012345678901234567890123456789012345678901234567890123456789",
            ),
        ],
        || {
            free(heap::malloc(1000));
            assert_eq!(pool_pages(), 16);
            assert_eq!(status("VmLck:"), 0);
            assert!(!heap::malloc(2 * MIB).is_null());
        },
    );
    if let Some(end) = end {
        assert_eq!(
            end.stderr,
            "\
memoman: MEMOMAN_RESERVE=12T ignored: expected bytes, or a number with K, M or G
memoman: MEMOMAN_GROW=no ignored: expected 0 or 1
memoman: MEMOMAN_LOCK=yes ignored: expected 0 or 1
memoman: MEMOMAN_STATS=0123456789012345678901234567890123456789012345678901234567890123 ignored: expected 0, 1, or a path with a slash
"
        );
    }
}

#[test]
fn unknown_variables_are_named_in_one_line() {
    let name = "unknown_variables_are_named_in_one_line";
    let variables = &[("MEMOMAN_STAT", "1"), ("MEMOMAN_GROWS", "")];
    if let Some(end) = alone(name, variables, || free(heap::malloc(1))) {
        assert_eq!(end.stderr.lines().count(), 1);
        assert!(end.stderr.contains("MEMOMAN_STAT") && end.stderr.contains("MEMOMAN_GROWS"));
        let all = "MEMOMAN_RESERVE, MEMOMAN_GROW, MEMOMAN_LOCK, MEMOMAN_STATS";
        let shim = if cfg!(feature = "late-checks") {
            ", MEMOMAN_TRACE"
        } else {
            ""
        };
        let ending = format!(" ignored: the variables are {all}{shim}\n");
        assert!(end.stderr.ends_with(&ending));
    }
}

/// The longest path that fits, and one byte more.
#[test]
fn a_path_for_the_table_has_a_greatest_length() {
    let name = "a_path_for_the_table_has_a_greatest_length";
    let long = format!("/none/{}", "x".repeat(249));
    if let Some(end) = alone(name, &[("MEMOMAN_STATS", &long)], || free(heap::malloc(1))) {
        assert!(
            end.stderr
                .starts_with("memoman: MEMOMAN_STATS: cannot write to /none/xxx")
        );
    }
}

#[test]
fn a_longer_path_for_the_table_is_reported_and_ignored() {
    let name = "a_longer_path_for_the_table_is_reported_and_ignored";
    let long = format!("/none/{}", "x".repeat(250));
    if let Some(end) = alone(name, &[("MEMOMAN_STATS", &long)], || free(heap::malloc(1))) {
        assert_eq!(end.stderr.lines().count(), 1);
        assert!(
            end.stderr
                .ends_with("ignored: expected 0, 1, or a path with a slash\n")
        );
    }
}

#[test]
fn the_process_number_fits_into_the_longest_path() {
    let name = "the_process_number_fits_into_the_longest_path";
    let long = format!("/none/{}", "%p".repeat(124));
    if let Some(end) = alone(name, &[("MEMOMAN_STATS", &long)], || free(heap::malloc(1))) {
        assert!(
            end.stderr
                .starts_with("memoman: MEMOMAN_STATS: cannot write to /none/%p")
        );
        assert!(end.stderr.ends_with("(errno 2)\n"));
    }
}

#[test]
fn a_closed_stderr_is_ignored() {
    quietly("a_closed_stderr_is_ignored", &[], || {
        free(heap::malloc(1000));
        // SAFETY: closes stderr, which this process does not use any more.
        unsafe { libc::close(2) };
        heap::set_errno(7);
        heap::print_table();
        assert_eq!(errno(), 7);
    });
}

#[test]
fn a_line_is_written_whole_though_signals_interrupt_it() {
    let name = "a_line_is_written_whole_though_signals_interrupt_it";
    quietly(name, &[], || {
        extern "C" fn nothing(_: i32) {}
        free(heap::malloc(1000));
        let mut ends = [0; 2];
        // SAFETY: system calls on this test's file descriptors; a handler that does nothing,
        // without SA_RESTART.
        let writer = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
            assert_eq!(
                libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()),
                0
            );
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            assert_eq!(libc::dup2(ends[1], 2), 2);
            // The smallest pipe, full: the next write blocks.
            let room = libc::fcntl(ends[1], libc::F_SETPIPE_SZ, 4096) as usize;
            let filler = vec![b'.'; room];
            let written = libc::write(2, filler.as_ptr().cast(), room);
            assert_eq!(written, room as isize);
            libc::pthread_self()
        };
        let reader = std::thread::spawn(move || {
            // The table must come whole, whether the signals interrupt its write or come before it.
            for _ in 0..10 {
                std::thread::sleep(std::time::Duration::from_millis(20));
                // SAFETY: the writer lives until it has joined this thread.
                unsafe { libc::pthread_kill(writer, libc::SIGUSR1) };
            }
            let mut text = Vec::new();
            let mut buffer = [0u8; 4096];
            while !text.ends_with(b"failed requests               0\n") {
                // SAFETY: the buffer has 4,096 bytes.
                let got = unsafe { libc::read(ends[0], buffer.as_mut_ptr().cast(), 4096) };
                text.extend_from_slice(&buffer[..got as usize]);
            }
            text.retain(|&byte| byte != b'.');
            assert!(text.starts_with(b"memoman: settings"));
            assert_eq!(text.iter().filter(|&&byte| byte == b'\n').count(), 9);
        });
        heap::print_table();
        reader.join().unwrap();
    });
}
