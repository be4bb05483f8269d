//! `embedded::Heap` as the global allocator of this program, the test harness included. It gets its
//! memory before `main`, as a microcontroller's start-up code gives it.

#![cfg(all(feature = "critical-section", target_os = "linux"))]

use memoman_core::embedded::Heap;
use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::process::Command;
use std::thread;

/// Mostly for the debug information that a backtrace reads.
const SIZE: usize = 256 << 20;

#[global_allocator]
static HEAP: Heap = Heap::empty();

extern "C" fn before_main() {
    static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
    // SAFETY: the memory is given away once, before the first allocation.
    unsafe { HEAP.init(&raw mut MEMORY as usize, SIZE) }
}

// SAFETY: the loader calls the functions of this section before `main`; the function needs nothing
// that is initialised there.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

fn leaked(bytes: usize) -> &'static mut [MaybeUninit<u8>] {
    vec![MaybeUninit::uninit(); bytes].leak()
}

#[test]
fn a_program_runs_on_it_with_threads() {
    let threads: Vec<_> = (0..4u64)
        .map(|thread| {
            thread::spawn(move || {
                let mut map = BTreeMap::new();
                for n in 0..2000u64 {
                    let key = n.wrapping_mul(0x9E37_79B9) % 512;
                    map.entry(key).or_insert_with(Vec::new).push(n ^ thread);
                    if n % 3 == 0 {
                        map.remove(&(key / 2));
                    }
                }
                map.values().flatten().map(|n| n ^ thread).max()
            })
        })
        .collect();
    let results: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert!(
        results
            .iter()
            .all(|&max| max == results[0] && max > Some(1900))
    );
    let stats = HEAP.stats();
    assert!(stats.live_blocks > 10 && stats.pool_bytes > SIZE - 16_384);
}

#[test]
fn a_resized_block_keeps_its_bytes_and_alignment() {
    let heap = Heap::empty();
    assert!(heap.add(leaked(64 << 10)));
    for align in [1, 16, 256] {
        let mut layout = Layout::from_size_align(100, align).unwrap();
        // SAFETY: one live block, whose layout is kept up to date.
        unsafe {
            let mut block = heap.alloc(layout);
            block.write_bytes(7, 100);
            // In place, backward, by a move, down again.
            let before = heap.alloc(layout);
            heap.dealloc(before, layout);
            for size in [200, 20_000, 5000, 9000, 30, 100] {
                let wall = heap.alloc(Layout::new::<u64>());
                block = heap.realloc(block, layout, size);
                layout = Layout::from_size_align(size, align).unwrap();
                assert!(!block.is_null() && block.addr().is_multiple_of(align));
                for at in 0..30 {
                    assert_eq!(block.add(at).read(), 7, "{size}");
                }
                block.write_bytes(7, size);
                heap.dealloc(wall, Layout::new::<u64>());
            }
            assert!(heap.realloc(block, layout, 1 << 20).is_null());
            assert_eq!(block.read(), 7);
            heap.dealloc(block, layout);
            let zeros = heap.alloc_zeroed(layout);
            assert!((0..100).all(|at| zeros.add(at).read() == 0));
            heap.dealloc(zeros, layout);
        }
        assert_eq!((heap.used(), heap.stats().live_blocks), (0, 0));
    }
}

#[test]
fn without_memory_there_is_none_and_more_memory_is_a_pool() {
    let heap = Heap::empty();
    let layout = Layout::new::<[u8; 100]>();
    // SAFETY: no block is returned.
    assert!(unsafe { heap.alloc(layout) }.is_null());
    assert!(!heap.add(leaked(200)));
    assert_eq!((heap.used(), heap.free()), (0, 0));
    assert!(heap.add(leaked(4096)));
    let free = heap.free();
    assert!(heap.add(leaked(4096)) && heap.free() > free + 4000);
    assert!(!heap.add(leaked(16)));
}

/// Runs the ignored test `name` in a process of its own, which must abort.
fn aborts(name: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", name, "--nocapture"])
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), None, "it must abort: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn group_i_a_double_free_ends_the_program() {
    assert!(aborts("double_free").contains("memoman: double free"));
}

#[test]
#[ignore = "aborts: run by group_i_a_double_free_ends_the_program"]
fn double_free() {
    let heap = Heap::empty();
    assert!(heap.add(leaked(4096)));
    let layout = Layout::new::<[u8; 100]>();
    // SAFETY: the second free is what the heap must find.
    unsafe {
        let block = heap.alloc(layout);
        heap.dealloc(block, layout);
        heap.dealloc(block, layout);
    }
}

#[test]
#[should_panic(expected = "a second call, or too little memory")]
fn a_second_init_panics() {
    let memory = leaked(4096);
    // SAFETY: refused.
    unsafe { HEAP.init(memory.as_mut_ptr().expose_provenance(), 4096) }
}
