//! Validation in steps: the extent of a step, its findings, and where the next one resumes after
//! the heap has changed.

mod support;

use memoman_core::{Cursor, Invariant, Step, Tlsf};
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Instance, Region, assert_sound};

const WORD: usize = size_of::<usize>();
/// Words of the control structure.
const LOW: usize = 2;
const FL_BITMAP: usize = 13;
const SL_BITMAP: usize = 14;
const QUANTUM: usize = Tlsf::ALIGN;
const SIZE: usize = 6 * QUANTUM;

/// Pools of exactly `count` blocks each, all in use.
struct Heap {
    instance: Instance,
    region: Region,
    pool_bytes: usize,
    blocks: Vec<NonNull<u8>>,
}

impl Heap {
    fn new(pools: usize, count: usize) -> Heap {
        let instance = Instance::new(1 << 16);
        let pool_bytes = Tlsf::POOL_OVERHEAD - WORD + count * SIZE;
        let region = Region::new(pools * pool_bytes, 0, 0xFF);
        let mut blocks = Vec::new();
        for index in 0..pools {
            let start = region.start().wrapping_add(index * pool_bytes);
            // SAFETY: the region outlives the instance's use.
            unsafe {
                instance.tlsf.add_pool(start, pool_bytes).unwrap();
                blocks.extend((0..count).map(|_| instance.tlsf.malloc(SIZE - WORD).unwrap()));
            }
        }
        assert_eq!(assert_sound(instance.tlsf).free, 0);
        Heap {
            instance,
            region,
            pool_bytes,
            blocks,
        }
    }

    fn tlsf(&self) -> Tlsf {
        self.instance.tlsf
    }

    fn free(&self, index: usize) {
        // SAFETY: a live block, freed once.
        unsafe { self.tlsf().free_by_turns(self.blocks[index]) }
            .map(drop)
            .unwrap();
    }

    fn step(&self, cursor: &mut Cursor, max_blocks: usize) -> Step {
        // SAFETY: live instance; its memory may be read.
        unsafe { self.tlsf().validate_step(cursor, max_blocks) }
    }

    /// Steps until an end; the number of steps before it.
    fn run(&self, cursor: &mut Cursor, max_blocks: usize) -> (usize, Step) {
        for steps in 0.. {
            match self.step(cursor, max_blocks) {
                Step::More => assert!(steps < 10_000, "the steps do not end"),
                end => return (steps, end),
            }
        }
        unreachable!()
    }

    /// Overwrites a word while `act` runs.
    fn damaged<R>(&self, place: *mut usize, value: usize, act: impl FnOnce() -> R) -> R {
        // SAFETY: a word of the heap; restored.
        unsafe {
            let old = place.replace(value);
            let result = act();
            place.write(old);
            result
        }
    }

    fn header(&self, index: usize) -> *mut usize {
        self.blocks[index].as_ptr().cast::<usize>().wrapping_sub(1)
    }

    /// The seal of this instance's headers.
    fn seal(&self) -> usize {
        // SAFETY: the header of a live block.
        unsafe { self.header(0).read() & !(SIZE | (QUANTUM - 1)) }
    }
}

#[test]
fn a_step_covers_as_many_blocks_as_it_is_given() {
    let heap = Heap::new(1, 12);
    for (max_blocks, more) in [(0, 12), (1, 12), (2, 6), (3, 4), (5, 2), (11, 1), (12, 1)] {
        let mut cursor = Cursor::START;
        for _ in 0..2 {
            // The cursor is at the start again afterwards.
            let end = heap.run(&mut cursor, max_blocks);
            assert_eq!(end, (more, Step::Sound), "{max_blocks}");
        }
    }
    let mut cursor = Cursor::START;
    assert_eq!(heap.run(&mut cursor, 13), (0, Step::Sound));
    assert_eq!(heap.run(&mut cursor, usize::MAX), (0, Step::Sound));
}

#[test]
fn steps_go_on_from_pool_to_pool_and_end_without_pools() {
    let heap = Heap::new(3, 4);
    let mut cursor = Cursor::START;
    assert_eq!(heap.run(&mut cursor, 1), (12, Step::Sound));
    assert_eq!(heap.run(&mut cursor, 5), (2, Step::Sound));
    assert_eq!(heap.run(&mut cursor, 100), (0, Step::Sound));
    let empty = Instance::new(1 << 12);
    // SAFETY: live instance.
    let step = unsafe { empty.tlsf.validate_step(&mut cursor, 1) };
    assert_eq!(step, Step::Sound);
}

#[test]
fn a_step_rests_before_blocks_in_use_only() {
    let heap = Heap::new(1, 12);
    for index in [1, 4, 6, 9, 11] {
        heap.free(index);
    }
    assert_sound(heap.tlsf());
    // Each step of one block passes the free one after it; then two heads, the wilderness's and
    // another.
    let mut cursor = Cursor::START;
    assert_eq!(heap.run(&mut cursor, 1), (8, Step::Sound));
}

#[test]
fn a_step_finds_what_is_broken_in_its_reach_and_no_step_before_does() {
    let heap = Heap::new(2, 6);
    heap.free(4);
    for index in 0..12 {
        let place = heap.header(index);
        // SAFETY: the header of a block: its size becomes 0.
        let value = unsafe { place.read() } ^ SIZE;
        heap.damaged(place, value, || {
            let mut cursor = Cursor::START;
            let (steps, end) = heap.run(&mut cursor, 1);
            let Step::Broken(found) = end else {
                panic!("block {index}: {end:?}")
            };
            assert_eq!(found.invariant, Invariant::Tiling, "block {index}");
            assert_eq!(found.address, heap.blocks[index].as_ptr());
            assert_eq!(
                found.pool.map(|pool| pool.as_raw().addr()),
                Some(heap.region.start().addr() + index / 6 * heap.pool_bytes)
            );
            // The first pool has four resting places and its sentinel.
            let before = [0, 0, 1, 2, 3, 3, 5, 5, 6, 7, 8, 9];
            assert_eq!(steps, before[index], "block {index}");
        });
    }
    let mut cursor = Cursor::START;
    assert_eq!(heap.run(&mut cursor, 1), (11, Step::Sound));
}

#[test]
fn control_structure_pools_and_bitmaps_are_checked_at_each_step() {
    let heap = Heap::new(2, 6);
    heap.free(4);
    let control = heap.tlsf().as_raw().cast::<usize>();
    let second_pool = heap.region.start().wrapping_add(heap.pool_bytes);
    let words = size_of::<memoman_core::control::Control>() / WORD;
    for (place, flip, invariant) in [
        (control.wrapping_add(LOW), QUANTUM, Invariant::Placement),
        (control.wrapping_add(FL_BITMAP), 2, Invariant::Bitmap),
        (control.wrapping_add(SL_BITMAP), 1 << 20, Invariant::Bitmap),
        (control.wrapping_add(words + 20), QUANTUM, Invariant::Bitmap),
        (second_pool.cast(), QUANTUM, Invariant::Placement),
    ] {
        let mut cursor = Cursor::START;
        for _ in 0..3 {
            assert_eq!(heap.step(&mut cursor, 1), Step::More);
        }
        // SAFETY: a word of the heap.
        let value = unsafe { place.read() } ^ flip;
        heap.damaged(place, value, || {
            let Step::Broken(found) = heap.step(&mut cursor, 1) else {
                panic!("not found")
            };
            assert_eq!(found.invariant, invariant);
        });
        // From the start again.
        assert_eq!(heap.run(&mut cursor, 1), (11, Step::Sound));
    }
}

#[test]
fn links_are_checked_by_the_step_that_covers_their_block() {
    let heap = Heap::new(1, 12);
    for index in [2, 5, 8] {
        heap.free(index);
    }
    for (index, word, steps) in [(2, 0, 1), (5, 1, 3), (8, 0, 5), (8, 1, 5)] {
        let place = heap.blocks[index]
            .as_ptr()
            .cast::<usize>()
            .wrapping_add(word);
        heap.damaged(place, heap.blocks[0].as_ptr().addr(), || {
            let mut cursor = Cursor::START;
            let (before, end) = heap.run(&mut cursor, 1);
            let Step::Broken(found) = end else {
                panic!("block {index} word {word}: {end:?}")
            };
            assert_eq!(found.invariant, Invariant::List);
            // A broken mutual link may show at the other block first.
            assert!(before <= steps, "block {index} word {word}: {before}");
        });
    }
}

#[test]
fn the_heap_may_change_between_steps() {
    let heap = Heap::new(2, 6);
    let mut cursor = Cursor::START;
    for _ in 0..3 {
        assert_eq!(heap.step(&mut cursor, 1), Step::More);
    }
    // The cursor's block is freed: its pool begins again, with one of its 6 resting places gone.
    heap.free(3);
    assert_eq!(heap.run(&mut cursor.clone(), 1), (5 + 6, Step::Sound));
    // In use again: the step resumes there.
    // SAFETY: live instance.
    let again = unsafe { heap.tlsf().malloc(SIZE - WORD) }.unwrap();
    assert_eq!(again, heap.blocks[3]);
    assert_eq!(heap.run(&mut cursor.clone(), 1), (3 + 6, Step::Sound));
    // The previous block is freed, which sets PREV_FREE in the cursor's block.
    heap.free(2);
    assert_eq!(heap.run(&mut cursor.clone(), 1), (3 + 6, Step::Sound));
    // The cursor rests on the first pool's sentinel.
    for _ in 0..3 {
        assert_eq!(heap.step(&mut cursor, 1), Step::More);
    }
    assert_eq!(heap.run(&mut cursor.clone(), 1), (6, Step::Sound));
    heap.free(5);
    assert_eq!(heap.run(&mut cursor.clone(), 1), (6, Step::Sound));
    assert_eq!(heap.step(&mut cursor, 1), Step::More);
    // The cursor is in the second pool; removing the first changes nothing.
    for index in [0, 1, 3, 4] {
        heap.free(index);
    }
    // SAFETY: live instance; the pool is empty.
    assert!(unsafe { heap.tlsf().remove_pool(heap.region.start()) });
    assert_eq!(heap.run(&mut cursor.clone(), 1), (5, Step::Sound));
    // The first is added again, before the cursor's place.
    // SAFETY: live instance; the region belongs to the test.
    unsafe { heap.tlsf().add_pool(heap.region.start(), heap.pool_bytes) }.unwrap();
    assert_eq!(heap.run(&mut cursor.clone(), 1), (5, Step::Sound));
    for index in 6..12 {
        heap.free(index);
    }
    // The second is removed: nothing is left to check.
    let second = heap.region.start().wrapping_add(heap.pool_bytes);
    // SAFETY: live instance; the pool is empty.
    assert!(unsafe { heap.tlsf().remove_pool(second) });
    assert_eq!(heap.run(&mut cursor, 1), (0, Step::Sound));
}

#[test]
fn a_removed_pool_is_replaced_by_the_next_higher_one() {
    let heap = Heap::new(3, 4);
    let mut cursor = Cursor::START;
    for _ in 0..6 {
        assert_eq!(heap.step(&mut cursor, 1), Step::More);
    }
    for index in 4..8 {
        heap.free(index);
    }
    let second = heap.region.start().wrapping_add(heap.pool_bytes);
    // SAFETY: live instance; the pool is empty.
    assert!(unsafe { heap.tlsf().remove_pool(second) });
    assert_eq!(heap.run(&mut cursor, 1), (4, Step::Sound));
}

#[test]
fn a_pool_that_came_back_otherwise_begins_again() {
    // It starts one block later, or ends before the saved place.
    for (skip, blocks) in [(SIZE, 7), (0, 2)] {
        let heap = Heap::new(1, 8);
        let mut cursor = Cursor::START;
        for _ in 0..3 {
            assert_eq!(heap.step(&mut cursor, 1), Step::More);
        }
        for index in 0..8 {
            heap.free(index);
        }
        let start = heap.region.start();
        // SAFETY: live instance; the pool is empty, so its memory belongs to the test after the
        // removal.
        unsafe {
            let tlsf = heap.tlsf();
            assert!(tlsf.remove_pool(start));
            start.write_bytes(0, heap.region.bytes());
            let bytes = heap.pool_bytes - (8 - blocks) * SIZE;
            tlsf.add_pool(start.wrapping_add(skip), bytes).unwrap();
            for _ in 0..blocks {
                tlsf.malloc(SIZE - WORD).unwrap();
            }
        }
        assert_eq!(heap.run(&mut cursor, 1), (blocks, Step::Sound));
    }
}

/// A saved place inside a later block holds user data.
#[test]
fn a_place_that_is_no_block_any_more_is_not_gone_on_from() {
    let heap = Heap::new(1, 8);
    let seal = heap.seal();
    let mut cursor = Cursor::START;
    for _ in 0..3 {
        assert_eq!(heap.step(&mut cursor, 1), Step::More);
    }
    for index in 0..8 {
        heap.free(index);
    }
    // SAFETY: live instance; the block covers all old ones and may be written.
    unsafe {
        let all = heap.tlsf().malloc(8 * SIZE - WORD).unwrap();
        all.as_ptr().write_bytes(0xFF, 8 * SIZE - WORD);
    }
    let place = heap.header(3);
    let room = 5 * SIZE;
    for value in [
        0,
        usize::MAX,
        seal,
        seal | QUANTUM,
        seal | (room + QUANTUM),
        seal | (SIZE + 1),
        seal | (SIZE + 4),
        seal | (SIZE + 5),
        seal | 4,
    ] {
        heap.damaged(place, value, || {
            // One block: the only resting place is the sentinel.
            let end = heap.run(&mut cursor.clone(), 1);
            assert_eq!(end, (1, Step::Sound), "{value:#x}");
        });
    }
    // Data that looks like a block in use passes for one: the walk resumes there and ends at its
    // false size.
    for (value, more) in [(seal | room, 1), (seal | (2 * QUANTUM), 0)] {
        heap.damaged(place, value, || {
            let (steps, end) = heap.run(&mut cursor.clone(), 1);
            assert_eq!(steps, more, "{value:#x}");
            assert_eq!(end == Step::Sound, value == seal | room, "{end:?}");
        });
    }
}

#[test]
fn a_ghost_before_a_saved_place_is_tested_before_it_is_followed() {
    let heap = Heap::new(1, 8);
    heap.free(1);
    heap.free(2);
    let mut cursor = Cursor::START;
    assert_eq!(heap.step(&mut cursor, 1), Step::More);
    // The cursor rests on block 3, after a free block of two quanta.
    let (ghost, first) = (heap.header(3).wrapping_sub(1), heap.blocks[0]);
    let free = heap.blocks[1].as_ptr().addr();
    for value in [
        0,
        1,
        free + 1,
        free + QUANTUM,
        first.as_ptr().addr(),
        first.as_ptr().addr() - QUANTUM,
        heap.region.start().addr(),
        heap.region.start().addr() - 4096,
        heap.blocks[3].as_ptr().addr(),
        heap.blocks[4].as_ptr().addr(),
        usize::MAX & !(QUANTUM - 1),
    ] {
        heap.damaged(ghost, value, || {
            let Step::Broken(found) = heap.step(&mut cursor.clone(), 1) else {
                panic!("{value:#x} not found")
            };
            assert_eq!(found.invariant, Invariant::PrevPhys, "{value:#x}");
            assert_eq!(found.address, heap.blocks[3].as_ptr());
        });
    }
    assert_eq!(heap.run(&mut cursor, 1), (5, Step::Sound));
}

#[test]
fn one_pool_is_diagnosed_with_what_leads_to_it() {
    let heap = Heap::new(2, 6);
    for index in [1, 3, 8, 10] {
        heap.free(index);
    }
    // SAFETY: live instance; its memory may be read.
    let (first, second) = unsafe {
        let first = heap.tlsf().first_pool().unwrap();
        (first, heap.tlsf().next_pool(first).unwrap())
    };
    // SAFETY: live pools.
    let diagnose = |pool| unsafe { Tlsf::diagnose_pool(pool) };
    assert_eq!(diagnose(first), None);
    assert_eq!(diagnose(second), None);
    let seen = |place: *mut usize, value: usize| {
        heap.damaged(place, value, || {
            [first, second].map(|pool| diagnose(pool).map(|found| found.invariant))
        })
    };
    use Invariant::{List, Placement, Tiling};
    // Damage to a block shows in its own pool only; to a pool's header in both, since the list
    // leads through it.
    assert_eq!(seen(heap.header(7), 0), [None, Some(Tiling)]);
    assert_eq!(seen(heap.header(2), 0), [Some(Tiling), None]);
    let header = |pool: memoman_core::Pool| pool.as_raw().cast::<usize>();
    for word in 0..5 {
        let place = header(second).wrapping_add(word);
        assert_eq!(seen(place, QUANTUM), [Some(Placement), Some(Placement)]);
    }
    assert_eq!(
        seen(header(first).wrapping_add(2), 0),
        [Some(Placement), Some(Placement)]
    );
    let control = heap.tlsf().as_raw().cast::<usize>();
    let low = control.wrapping_add(LOW);
    assert_eq!(seen(low, 0), [Some(Placement), Some(Placement)]);
    // The list's head is the block freed last, in the second pool.
    let bin = SIZE / QUANTUM;
    let heads = size_of::<memoman_core::control::Control>() / WORD;
    let head = control.wrapping_add(heads + bin);
    // SAFETY: a head.
    assert_eq!(unsafe { head.read() }, heap.blocks[10].as_ptr().addr());
    assert_eq!(
        seen(head, heap.blocks[8].as_ptr().addr()),
        [None, Some(List)]
    );
}
