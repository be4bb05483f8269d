//! The debug library: calls, reports, environment variables, leak listing.
#![cfg(memoman_debug)]

#[path = "debugged/memory.rs"]
mod memory;
mod support;

use memoman_global as heap;
use support::{PAGE, alone, errno, free, pool_pages, quietly, resized};

const MIB: usize = 1 << 20;

/// Allocates with a made-up call site, so that the report's text is known.
fn malloc_at(bytes: usize, site: usize) -> *mut u8 {
    let block = heap::malloc_at(bytes, site, heap::Family::Malloc);
    assert!(!block.is_null());
    block
}

fn usable(block: *mut u8) -> usize {
    // SAFETY: a live block, NULL, or one whose misuse is reported.
    unsafe { heap::usable_size(block) }
}

/// Writes a byte in or around a block, live or freed: the damage that the library is to find.
fn smash(block: *mut u8, at: isize) {
    // SAFETY: the address still lies in one of the heap's pools.
    unsafe { block.offset(at).write_volatile(0x41) };
}

fn filled_with(block: *mut u8, bytes: usize, value: u8) -> bool {
    // SAFETY: bytes of a block, live or in quarantine.
    (0..bytes).all(|at| unsafe { block.add(at).read_volatile() } == value)
}

/// The text with `@` for each hexadecimal number and `program` for the test program's name.
/// (Addresses differ from run to run.)
fn plain(text: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let text = text.replace(program.file_name().unwrap().to_str().unwrap(), "program");
    let mut out = String::new();
    for (part, rest) in text.split("0x").enumerate() {
        if part > 0 {
            out.push('@');
            out.push_str(rest.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
        } else {
            out.push_str(rest);
        }
    }
    out
}

/// A scenario that ends with these lines and an abort.
fn dies(name: &str, variables: &[(&str, &str)], report: &str, body: fn()) {
    if let Some(end) = alone(name, variables, body) {
        assert_eq!(plain(&end.stderr), report);
        assert_eq!(end.signal, Some(libc::SIGABRT), "{}", end.stderr);
    }
}

const SITE: usize = 0x123;
const EVERY_CALL: &[(&str, &str)] = &[("MM_DEBUG_VALIDATE_SHIFT", "0")];

#[test]
fn an_overflow_is_reported_with_the_place_and_the_block() {
    let name = "an_overflow_is_reported_with_the_place_and_the_block";
    let report = "\
memoman: write past the end of the block (overflow): @
memoman:   first overwritten byte: @, 2 bytes past the end, is now @
memoman:   block of 48 bytes allocated at @; allocation number 2
";
    if let Some(end) = alone(name, &[], || {
        free(heap::malloc(1));
        let block = malloc_at(48, SITE);
        eprintln!("{block:p}");
        smash(block, 50);
        free(block);
    }) {
        let (address, lines) = end.stderr.split_once('\n').unwrap();
        assert_eq!(plain(lines), report);
        assert_eq!(end.signal, Some(libc::SIGABRT));
        // The numbers that `plain` has replaced.
        let start = usize::from_str_radix(&address[2..], 16).unwrap();
        for line in [
            format!("overflow): {start:#x}\n"),
            format!(
                "byte: {:#x}, 2 bytes past the end, is now 0x41\n",
                start + 50
            ),
            "allocated at 0x123; allocation number 2\n".into(),
        ] {
            assert!(lines.contains(&line), "{line} in {lines}");
        }
    }
}

#[test]
fn an_underflow_is_reported_with_its_distance() {
    let report = "\
memoman: write before the block (underflow): @
memoman:   first overwritten byte: @, 3 bytes before the start, is now @
memoman:   block of 48 bytes allocated at @; allocation number 1
";
    dies(
        "an_underflow_is_reported_with_its_distance",
        &[],
        report,
        || {
            let block = malloc_at(48, SITE);
            smash(block, -3);
            free(block);
        },
    );
}

/// A write `AT` bytes past the start of a freed block of 48.
fn write_after_free_is_reported<const AT: isize>(name: &str) {
    let report = format!(
        "\
memoman: write after free: @
memoman:   first overwritten byte: @, {AT} bytes into the block, is now @
memoman:   block of 48 bytes allocated at @, freed at @ (program+@); allocation number 1
"
    );
    dies(name, EVERY_CALL, &report, || {
        let block = malloc_at(48, SITE);
        free(block);
        smash(block, AT);
        free(heap::malloc(1));
    });
}

#[test]
fn a_write_at_the_first_byte_after_free_is_reported() {
    write_after_free_is_reported::<0>("a_write_at_the_first_byte_after_free_is_reported");
}

#[test]
fn a_write_at_the_last_byte_after_free_is_reported() {
    write_after_free_is_reported::<47>("a_write_at_the_last_byte_after_free_is_reported");
}

#[test]
fn a_double_free_is_reported_with_offsets_in_the_program() {
    let name = "a_double_free_is_reported_with_offsets_in_the_program";
    if let Some(end) = alone(name, &[], || {
        let block = heap::malloc(48);
        free(block);
        free(block);
    }) {
        assert_eq!(end.signal, Some(libc::SIGABRT));
        assert_eq!(
            plain(&end.stderr),
            "\
memoman: double free: @
memoman:   block of 48 bytes allocated at @ (program+@), freed at @ (program+@); allocation number 1
"
        );
        // A program is loaded at a page: address and offset differ by whole pages.
        let (_, places) = end.stderr.split_once("allocated at ").unwrap();
        for place in [places, places.split_once("freed at ").unwrap().1] {
            let (address, rest) = place.split_once(" (").unwrap();
            let (_, offset) = rest.split_once('+').unwrap();
            let (offset, _) = offset.split_once(')').unwrap();
            let [address, offset] =
                [address, offset].map(|text| usize::from_str_radix(&text[2..], 16).unwrap());
            assert!(
                offset < address && (address - offset).is_multiple_of(4096),
                "{place}"
            );
        }
    }
}

#[test]
fn a_pointer_into_a_block_is_reported_with_its_distance() {
    let name = "a_pointer_into_a_block_is_reported_with_its_distance";
    let report = "\
memoman: not a live block (or its header is overwritten): @
memoman:   32 bytes into a block of 48 bytes allocated at @; allocation number 1
";
    dies(name, &[], report, || {
        let block = malloc_at(48, SITE);
        // SAFETY: inside the block.
        free(unsafe { block.add(32) });
    });
}

#[test]
fn an_unknown_call_site_is_reported_as_such() {
    let report = "\
memoman: double free: @
memoman:   block of 48 bytes allocated at an unknown place, freed at @ (program+@); allocation number 1
";
    dies(
        "an_unknown_call_site_is_reported_as_such",
        &[],
        report,
        || {
            let block = heap::memalign_at(64, 48, 0, heap::Family::Malloc);
            assert!(block.addr().is_multiple_of(64));
            free(block);
            free(block);
        },
    );
}

#[test]
fn a_pointer_outside_every_pool_is_reported_without_a_block() {
    let report = "memoman: pointer outside every pool: @\n";
    dies(
        "a_pointer_outside_every_pool_is_reported_without_a_block",
        &[],
        report,
        || {
            assert!(!heap::malloc(1).is_null());
            let mut local = [0u64; 8];
            free(local.as_mut_ptr().cast::<u8>().wrapping_add(16));
        },
    );
}

#[test]
fn usable_size_of_a_freed_block_is_reported() {
    let report = "\
memoman: double free: @
memoman:   block of 48 bytes allocated at @, freed at @ (program+@); allocation number 1
";
    dies(
        "usable_size_of_a_freed_block_is_reported",
        &[],
        report,
        || {
            let block = malloc_at(48, SITE);
            free(block);
            usable(block);
        },
    );
}

#[test]
fn realloc_of_a_freed_block_is_reported() {
    let report = "\
memoman: double free: @
memoman:   block of 48 bytes allocated at @, freed at @ (program+@); allocation number 1
";
    dies("realloc_of_a_freed_block_is_reported", &[], report, || {
        let block = malloc_at(48, SITE);
        free(block);
        resized(block, 100);
    });
}

#[test]
fn damage_is_found_within_the_calls_that_the_variable_sets() {
    let name = "damage_is_found_within_the_calls_that_the_variable_sets";
    if let Some(end) = alone(name, &[("MM_DEBUG_VALIDATE_SHIFT", "5")], || {
        smash(malloc_at(48, SITE), 48);
        for _ in 0..100 {
            eprint!(".");
            assert!(!heap::malloc(1).is_null());
        }
    }) {
        // The allocation was the first of the 32 calls.
        let dots = end.stderr.bytes().take_while(|&byte| byte == b'.').count();
        assert_eq!(dots, 31, "{}", end.stderr);
        assert_eq!(end.signal, Some(libc::SIGABRT));
    }
}

#[test]
fn a_shift_is_a_number_to_31() {
    let name = "a_shift_is_a_number_to_31";
    let variables = &[("MM_DEBUG_VALIDATE_SHIFT", "32"), ("MEMOMAN_LEAKS", "yes")];
    if let Some(end) = alone(name, variables, || free(heap::malloc(1))) {
        assert_eq!(end.signal, None);
        assert_eq!(
            end.stderr,
            "\
memoman: MM_DEBUG_VALIDATE_SHIFT=32 ignored: expected a number from 0 to 31
memoman: MEMOMAN_LEAKS=yes ignored: expected 0 or 1
"
        );
    }
}

#[test]
fn damage_that_no_call_finds_is_found_at_exit() {
    let name = "damage_that_no_call_finds_is_found_at_exit";
    let report = "\
memoman: write past the end of the block (overflow): @
memoman:   first overwritten byte: @, 0 bytes past the end, is now @
memoman:   block of 48 bytes allocated at @; allocation number 1
";
    dies(name, &[], report, || smash(malloc_at(48, SITE), 48));
}

#[test]
fn validation_prints_what_it_finds_and_returns() {
    let name = "validation_prints_what_it_finds_and_returns";
    if let Some(end) = alone(name, &[], || {
        let block = malloc_at(48, SITE);
        assert!(heap::validate());
        smash(block, 48);
        assert!(!heap::validate());
        // SAFETY: restores the guard's byte.
        unsafe { block.add(48).write(0xFD) };
        assert!(heap::validate());
    }) {
        assert_eq!(end.signal, None, "{}", end.stderr);
        assert_eq!(end.stderr.lines().count(), 3, "{}", end.stderr);
        assert!(
            end.stderr
                .starts_with("memoman: write past the end of the block (overflow): 0x")
        );
    }
}

#[test]
fn leaks_are_not_listed_unless_the_variable_says_so() {
    let name = "leaks_are_not_listed_unless_the_variable_says_so";
    quietly(name, &[("MEMOMAN_LEAKS", "0")], || {
        malloc_at(48, SITE);
    });
}

#[test]
fn leaks_are_listed_by_call_site_most_bytes_first() {
    let name = "leaks_are_listed_by_call_site_most_bytes_first";
    if let Some(end) = alone(name, &[("MEMOMAN_LEAKS", "1")], || {
        malloc_at(100, 0x111);
        for _ in 0..3 {
            malloc_at(50, 0x222);
        }
        malloc_at(30, 0x333);
        malloc_at(70, 0x333);
        free(malloc_at(1000, 0x444));
    }) {
        assert_eq!(
            end.stderr,
            "\
memoman: 150 bytes in 3 blocks allocated at 0x222
memoman: 100 bytes in 2 blocks allocated at 0x333
memoman: 100 bytes in 1 blocks allocated at 0x111
memoman: 350 bytes in 6 blocks in use at exit
"
        );
    }
}

#[test]
fn of_many_call_sites_forty_are_listed_and_the_rest_is_one_sum() {
    let name = "of_many_call_sites_forty_are_listed_and_the_rest_is_one_sum";
    if let Some(end) = alone(name, &[("MEMOMAN_LEAKS", "1")], || {
        // 300 call sites, of which 256 are distinguished.
        for place in 0..300 {
            malloc_at(1000 - place, 0x1000 + place);
        }
        for _ in 0..2 {
            malloc_at(7, 0x1000 + 299);
        }
    }) {
        let mut expected = String::new();
        // The 256 are those of the blocks that the walk visits first, in an order not specified.
        let lines: Vec<_> = end.stderr.lines().collect();
        assert_eq!(lines.len(), 42, "{}", end.stderr);
        let mut bytes = 0;
        for (line, text) in lines[..40].iter().enumerate() {
            let (count, place) = text["memoman: ".len()..]
                .split_once(" bytes in 1 blocks allocated at 0x")
                .unwrap();
            let count: usize = count.parse().unwrap();
            assert_eq!(
                usize::from_str_radix(place, 16).unwrap() - 0x1000,
                1000 - count
            );
            assert!(line == 0 || count < bytes || bytes == 0, "{}", end.stderr);
            bytes = count;
        }
        let all: usize = (701..=1000).sum::<usize>() + 14;
        let listed: usize = lines[..40]
            .iter()
            .map(|text| {
                text.split_whitespace()
                    .nth(1)
                    .unwrap()
                    .parse::<usize>()
                    .unwrap()
            })
            .sum();
        expected += &format!(
            "memoman: {} bytes in 262 blocks allocated elsewhere\n",
            all - listed
        );
        expected += &format!("memoman: {all} bytes in 302 blocks in use at exit\n");
        assert!(
            end.stderr.ends_with(&expected),
            "{}\n{expected}",
            end.stderr
        );
    }
}
