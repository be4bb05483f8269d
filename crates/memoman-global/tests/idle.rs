//! A thread that sleeps again: what it has freed since the last visit goes back, too. (By resident
//! memory: the figures of the heap do not say which pages are in memory.)

#![cfg(not(memoman_debug))]

mod support;

use memoman_global as heap;
use std::sync::Barrier;
use std::time::{Duration, Instant};
use std::{ptr, thread};
use support::{free, quietly, status};

static STAGE: Barrier = Barrier::new(2);

/// A block whose pages are in memory.
fn touched(bytes: usize) -> usize {
    let block = heap::malloc(bytes);
    assert!(!block.is_null());
    // SAFETY: a block of so many bytes.
    unsafe { block.write_bytes(1, bytes) };
    block.expose_provenance()
}

fn free_address(block: usize) {
    free(ptr::with_exposed_provenance_mut(block));
}

/// Frees all blocks but each 64th, which it returns.
fn thin(blocks: Vec<usize>) -> Vec<usize> {
    let mut kept = Vec::new();
    for (index, block) in blocks.into_iter().enumerate() {
        if index % 64 == 0 {
            kept.push(block);
        } else {
            free_address(block);
        }
    }
    kept
}

/// Gets and gives back segments: with each one it looks at another heap.
fn look_at_others() {
    // (Too large for the cache.)
    let blocks: Vec<_> = (0..100).map(|_| touched(20_000)).collect();
    blocks.into_iter().for_each(free_address);
}

/// Longer than an owner that sleeps is left alone.
fn visit_others() {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(400) {
        look_at_others();
    }
}

/// Looks at the others until so many kB are in memory at most.
fn others_fall_to(most: usize) {
    let begun = Instant::now();
    while status("VmRSS:") > most {
        let late = begun.elapsed() > Duration::from_secs(15);
        assert!(!late, "{} kB stay, {most} expected", status("VmRSS:"));
        look_at_others();
    }
}

/// Resident memory of the process before the owner's blocks.
fn before() -> usize {
    look_at_others();
    status("VmRSS:")
}

#[test]
fn what_an_owner_frees_after_a_visit_goes_back() {
    let name = "what_an_owner_frees_after_a_visit_goes_back";
    quietly(name, &[], || {
        let most = before() + (12 << 10);
        let owner = thread::spawn(|| {
            let blocks = (0..48_000).map(|_| touched(1000)).collect();
            STAGE.wait();
            STAGE.wait();
            let kept = thin(blocks);
            STAGE.wait();
            STAGE.wait();
            kept.into_iter().for_each(free_address);
        });
        STAGE.wait();
        visit_others();
        STAGE.wait();
        STAGE.wait();
        others_fall_to(most);
        STAGE.wait();
        owner.join().unwrap();
        assert!(heap::validate());
    });
}

#[test]
fn what_others_free_of_an_ended_thread_goes_back_after_a_visit() {
    let name = "what_others_free_of_an_ended_thread_goes_back_after_a_visit";
    quietly(name, &[], || {
        let most = before() + (12 << 10);
        let run = || (0..48_000).map(|_| touched(1000)).collect();
        let blocks = thread::spawn(run).join().unwrap();
        visit_others();
        let kept = thin(blocks);
        others_fall_to(most);
        kept.into_iter().for_each(free_address);
        assert!(heap::validate());
    });
}

/// Two times so many blocks, in turn for each of the two lists.
fn in_turn(count: usize, bytes: usize) -> (Vec<usize>, Vec<usize>) {
    (0..count).map(|_| (touched(bytes), touched(bytes))).unzip()
}

#[test]
fn the_pages_of_many_free_blocks_of_one_size_go_back() {
    let name = "the_pages_of_many_free_blocks_of_one_size_go_back";
    quietly(name, &[], || {
        const COUNT: usize = 2000;
        // (Part of a page stays at both ends of each block.)
        let most = before() + COUNT * 15 + (14 << 10);
        let owner = thread::spawn(|| {
            let (blocks, others) = in_turn(COUNT, 15_000);
            blocks.into_iter().for_each(free_address);
            STAGE.wait();
            STAGE.wait();
            others.into_iter().for_each(free_address);
        });
        STAGE.wait();
        others_fall_to(most);
        STAGE.wait();
        owner.join().unwrap();
        assert!(heap::validate());
    });
}

#[test]
fn pages_that_an_owner_has_used_again_go_back_again() {
    let name = "pages_that_an_owner_has_used_again_go_back_again";
    quietly(name, &[], || {
        const COUNT: usize = 80;
        let most = before() + COUNT * 150 + (6 << 10);
        let owner = thread::spawn(|| {
            let (mut blocks, others) = in_turn(COUNT, 150_000);
            for _ in 0..3 {
                blocks.into_iter().for_each(free_address);
                STAGE.wait();
                STAGE.wait();
                blocks = (0..COUNT).map(|_| touched(150_000)).collect();
            }
            blocks.into_iter().chain(others).for_each(free_address);
        });
        for _ in 0..3 {
            STAGE.wait();
            others_fall_to(most);
            STAGE.wait();
        }
        owner.join().unwrap();
        assert!(heap::validate());
    });
}
