//! The map at its edges: leaves, pages of words, the end of the address space. (The addresses are
//! made up: nothing at them is read.)

use crate::process::lock::LOCK;
use crate::process::map::{
    ADDRESS_MAX, LEAF_LOG2, UNIT, assign, entry, lock, near_owner, owner, prepare,
};
use crate::system::memory;
use core::ptr;
use std::vec;
use std::vec::Vec;

const LEAF_BYTES: usize = UNIT << LEAF_LOG2;

/// Bytes that the process has locked in memory.
fn locked() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("VmLck:"))
        .unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// The pages that hold these units' words.
fn pages(start: usize, units: usize) -> (*mut libc::c_void, usize) {
    let page = memory::page_size();
    let first = ptr::from_ref(entry(start).unwrap()).expose_provenance();
    let begin = first & !(page - 1);
    let bytes = (first + units * size_of::<usize>() - begin).next_multiple_of(page);
    (ptr::with_exposed_provenance_mut(begin), bytes)
}

/// The number of those pages that are in memory.
fn resident(start: usize, units: usize) -> usize {
    let (begin, bytes) = pages(start, units);
    let mut there = vec![0u8; bytes / memory::page_size()];
    // SAFETY: pages of a leaf; one byte is written for each.
    let result = unsafe { libc::mincore(begin, bytes, there.as_mut_ptr()) };
    assert_eq!(result, 0);
    there.iter().filter(|&&page| page & 1 != 0).count()
}

/// Unlocks those pages. Returns the bytes that were locked.
fn unlocked(start: usize, units: usize) -> usize {
    let (before, (begin, bytes)) = (locked(), pages(start, units));
    // SAFETY: pages of a leaf.
    assert_eq!(unsafe { libc::munlock(begin, bytes) }, 0);
    before - locked()
}

#[test]
fn words_exist_for_the_units_prepared_and_in_no_leaf_beyond() {
    let edge = 5 * LEAF_BYTES;
    let prepare = |start, bytes| LOCK.with(|| prepare(start, bytes));
    assert!(prepare(edge - UNIT, UNIT));
    assert!(entry(edge - UNIT).is_some() && entry(edge - 1).is_some());
    assert!(entry(edge).is_none());
    assert!(prepare(edge - UNIT, UNIT + 1));
    assert!(entry(edge).is_some());
}

#[test]
fn the_map_ends_where_the_address_space_does() {
    let prepare = |start, bytes| LOCK.with(|| prepare(start, bytes));
    assert!(prepare(ADDRESS_MAX + 1 - UNIT, UNIT));
    assert!(entry(ADDRESS_MAX).is_some());
    assert!(!prepare(ADDRESS_MAX + 1, UNIT));
    assert!(entry(ADDRESS_MAX + 1).is_none() && owner(usize::MAX).is_null());
}

#[test]
fn an_address_of_47_to_57_bits_has_a_word_of_its_own() {
    let highest = (47..=57).flat_map(|bits| [(1 << bits) - UNIT, 1usize << bits]);
    let mut starts: Vec<usize> = highest.filter(|&start| start <= ADDRESS_MAX).collect();
    starts.push((1 << 56) + 5 * LEAF_BYTES + 7 * UNIT);
    let heap_of = |start: usize| ptr::without_provenance_mut(start / UNIT * 64);
    for &start in &starts {
        assert!(owner(start).is_null(), "{start:x}");
        assert!(prepare(start, UNIT));
        assign(start, UNIT, heap_of(start));
    }
    for &start in &starts {
        for address in [start, start + 1, start + UNIT - 1] {
            assert_eq!(owner(address), heap_of(start), "{address:x}");
            // The hot path's look stops at 48 bits.
            let near = if start >> 48 == 0 {
                heap_of(start)
            } else {
                ptr::null_mut()
            };
            assert_eq!(near_owner(address), near, "{address:x}");
        }
        assign(start, UNIT, ptr::null_mut());
        assert!(owner(start).is_null());
    }
    // Words on both sides of an edge between two roots, made at once.
    let edge = 3 << 48;
    assert!(prepare(edge - UNIT, 2 * UNIT));
    assert!(entry(edge - 1).is_some() && entry(edge).is_some());
}

#[test]
fn words_are_brought_in_and_locked_on_both_sides_of_a_leafs_edge() {
    let assigned = |start, bytes| {
        assert!(prepare(start, bytes));
        assign(start, bytes, ptr::null_mut());
    };
    let edge = 13 * LEAF_BYTES;
    let before = locked();
    assigned(edge - 600 * UNIT, 1200 * UNIT);
    assert_eq!(locked(), before);
    assert_eq!(
        (resident(edge - 600 * UNIT, 600), resident(edge, 600)),
        (2, 2)
    );
    // The last 2,047 words of one leaf lie in its last four pages, the first 2,049 of the next in
    // five.
    let edge = 9 * LEAF_BYTES;
    let start = edge - 2047 * UNIT + memory::page_size();
    let bytes = edge + 2048 * UNIT + 64 - start;
    assigned(start & !(UNIT - 1), 4096 * UNIT);
    lock(start, bytes);
    assert_eq!((resident(start, 2047), resident(edge, 2049)), (4, 5));
    let unlocked = (unlocked(start, 2047), unlocked(edge, 2049));
    assert_eq!((unlocked, locked()), ((4 << 12, 5 << 12), before));
}
