//! Validation on overwritten heaps: every header, link, ghost, bitmap, head and control word, overwritten one at a
//! time, is found, and nothing wild is followed (group I).

mod support;

use memoman_core::{Cursor, Invariant, Misuse, Refusal, Step, Tlsf, Violation};
use std::ptr::NonNull;
use support::{Instance, Region, assert_sound};

const WORD: usize = size_of::<usize>();

/// Two pools with used and free blocks in turn, several free ones in one bin.
struct Heap {
    instance: Instance,
    pools: [Region; 2],
    live: Vec<NonNull<u8>>,
    freed: Vec<NonNull<u8>>,
}

impl Heap {
    fn new() -> Heap {
        let instance = Instance::new(1 << 16);
        let pools = [Region::new(4096, 0, 0x5A), Region::new(4096, 8, 0x5A)];
        let mut blocks = Vec::new();
        // SAFETY: the regions live as long as the instance; each block is freed once.
        unsafe {
            for pool in &pools {
                instance.tlsf.add_pool(pool.start(), pool.bytes()).unwrap();
            }
            for round in 0..24 {
                let ptr = instance.tlsf.malloc([40, 40, 72, 200][round % 4]).unwrap();
                ptr.as_ptr()
                    .write_bytes(0x77, Tlsf::block_size(ptr.as_ptr()));
                blocks.push(ptr);
            }
            let (mut live, mut freed) = (Vec::new(), Vec::new());
            for (index, ptr) in blocks.into_iter().enumerate() {
                if index % 2 == 0 {
                    instance.tlsf.free(ptr).unwrap();
                    freed.push(ptr);
                } else {
                    live.push(ptr);
                }
            }
            assert_sound(instance.tlsf);
            Heap {
                instance,
                pools,
                live,
                freed,
            }
        }
    }

    fn tlsf(&self) -> Tlsf {
        self.instance.tlsf
    }

    fn diagnose(&self) -> Option<Violation> {
        // SAFETY: the memory is readable, whatever is in it.
        unsafe { self.tlsf().diagnose() }
    }

    /// Overwrites the word at `place` with each bad value in turn and asks for the invariant.
    fn overwrite(&self, what: &str, place: *mut usize, expected: &[Invariant]) -> usize {
        // SAFETY: `place` is a word of the heap or its control structure; it is put back.
        unsafe {
            let original = place.read();
            let mut values = vec![
                0,
                1,
                place.addr(),
                usize::MAX,
                (0xDEAD << (usize::BITS - 16)) + 16,
                4096,
            ];
            values.push(self.freed[3].as_ptr().addr());
            values.push(self.live[3].as_ptr().addr());
            values.extend((0..usize::BITS).map(|bit| original ^ (1 << bit)));
            let mut tried = 0;
            for value in values.into_iter().filter(|&value| value != original) {
                place.write(value);
                let before = (self.pools[0].image(), self.pools[1].image());
                let found = self.diagnose();
                assert!(
                    before == (self.pools[0].image(), self.pools[1].image()),
                    "validation wrote"
                );
                let mut cursor = Cursor::START;
                let mut steps = 0;
                while self.tlsf().validate_step(&mut cursor, 1) == Step::More {
                    steps += 1;
                    assert!(steps < 1_000, "{what} = {value:#x}: the steps do not end");
                }
                place.write(original);
                let Some(found) = found else {
                    panic!("{what} = {value:#x} (was {original:#x}) is not found");
                };
                assert!(
                    expected.contains(&found.invariant),
                    "{what} = {value:#x}: {found:?}"
                );
                tried += 1;
            }
            assert_eq!(self.diagnose(), None);
            tried
        }
    }
}

#[test]
fn group_i_every_overwritten_word_is_found() {
    use Invariant::*;
    let heap = Heap::new();
    let mut tried = 0;
    for (index, ptr) in heap.live.iter().chain(&heap.freed).enumerate() {
        let payload = ptr.as_ptr().cast::<usize>();
        let header = payload.wrapping_sub(1);
        tried += heap.overwrite(
            &format!("header of block {index}"),
            header,
            &[Tiling, Coalesced, PrevPhys, List, Listed, Counters],
        );
    }
    for (index, ptr) in heap.freed.iter().enumerate() {
        let payload = ptr.as_ptr().cast::<usize>();
        tried += heap.overwrite(&format!("next_free of {index}"), payload, &[List, Listed]);
        tried += heap.overwrite(
            &format!("prev_link of {index}"),
            payload.wrapping_add(1),
            &[List, Listed],
        );
    }
    for ptr in &heap.live[..4] {
        // The block before is free: its ghost lies before this one's header.
        let ghost = ptr.as_ptr().cast::<usize>().wrapping_sub(2);
        tried += heap.overwrite("prev_phys", ghost, &[PrevPhys]);
    }
    for pool in &heap.pools {
        let start = pool.start().cast::<usize>();
        let start = start.wrapping_byte_add(start.addr().wrapping_neg() & (2 * WORD - 1));
        for word in 0..5 {
            tried += heap.overwrite(
                &format!("pool header word {word}"),
                start.wrapping_add(word),
                &[Placement],
            );
        }
        // SAFETY: the address is not read.
        let bytes = unsafe { heap.tlsf().pool_of(start.cast()).unwrap().memory().1 };
        let sentinel = start.wrapping_byte_add(bytes - WORD);
        tried += heap.overwrite("sentinel", sentinel, &[Tiling, PrevPhys, Coalesced]);
    }
    println!("{tried} corruptions");
    assert!(tried > 80);
}

#[test]
fn group_i_every_overwritten_control_word_is_found() {
    use Invariant::*;
    let heap = Heap::new();
    let control = heap.tlsf().as_raw().cast::<usize>();
    let words = Tlsf::control_size(1 << 16) / WORD;
    // These say nothing that a walk could contradict: peak, failed_requests, the handler and its word.
    let fixed = size_of::<memoman_core::control::Control>() / WORD;
    let free_words = [9, 11, fixed - 3, fixed - 2];
    for word in (0..words).filter(|word| !free_words.contains(word)) {
        heap.overwrite(
            &format!("control word {word}"),
            control.wrapping_add(word),
            &[Bitmap, List, Listed, Placement, Counters],
        );
    }
}

#[test]
fn group_i_rings_in_a_free_list_are_found() {
    let heap = Heap::new();
    // Blocks of one size are listed last freed first.
    let [a, b] = [heap.freed[8], heap.freed[10]].map(|ptr| ptr.as_ptr().cast::<usize>());
    for (from, to) in [(a, a), (a, b), (b, a), (b, b)] {
        // SAFETY: the links of free blocks; put back afterwards.
        unsafe {
            let old = from.read();
            if old == to.addr() {
                continue;
            }
            from.write(to.addr());
            assert_eq!(
                heap.diagnose().map(|found| found.invariant),
                Some(Invariant::List)
            );
            from.write(old);
        }
    }
    assert_eq!(heap.diagnose(), None);
}

#[test]
fn group_i_misuse_is_found_and_changes_nothing() {
    let heap = Heap::new();
    let tlsf = heap.tlsf();
    let mut local = [0usize; 8];
    static STATIC: [usize; 8] = [0; 8];
    let at = |ptr: *mut u8| NonNull::new(ptr).unwrap();
    let live = heap.live[5].as_ptr();
    let cases = [
        ("free block", heap.freed[5].as_ptr(), Misuse::DoubleFree),
        ("misaligned", live.wrapping_add(1), Misuse::Misaligned),
        (
            "interior, half a quantum",
            live.wrapping_add(WORD),
            Misuse::Misaligned,
        ),
        ("interior", live.wrapping_add(2 * WORD), Misuse::NotABlock),
        ("stack", local.as_mut_ptr().cast(), Misuse::Foreign),
        ("static", STATIC.as_ptr().cast_mut().cast(), Misuse::Foreign),
        ("one", std::ptr::without_provenance_mut(1), Misuse::Foreign),
        (
            "null page",
            std::ptr::without_provenance_mut(4096),
            Misuse::Foreign,
        ),
    ];
    for (name, ptr, expected) in cases {
        let before = (
            heap.pools[0].image(),
            heap.pools[1].image(),
            assert_sound(tlsf),
        );
        // SAFETY: what is wrong with the pointer is what is tested; all memory between the pools is readable.
        unsafe {
            assert_eq!(tlsf.free(at(ptr)).err(), Some(expected), "{name}");
            let refused = tlsf.realloc(at(ptr), 100);
            assert_eq!(refused, Err(Refusal::Misuse(expected, ptr)), "{name}");
        }
        assert!(
            before
                == (
                    heap.pools[0].image(),
                    heap.pools[1].image(),
                    assert_sound(tlsf)
                ),
            "{name}"
        );
    }
}

#[test]
fn group_i_a_second_free_is_found_after_merging_either_way() {
    let instance = Instance::new(1 << 16);
    let region = Region::new(4096, 0, 0);
    // SAFETY: the region outlives the instance's use; what is wrong with each call is what is tested.
    unsafe {
        let tlsf = instance.tlsf;
        tlsf.add_pool(region.start(), region.bytes()).unwrap();
        let [a, b, c, _guard] = [(); 4].map(|()| tlsf.malloc(40).unwrap());
        tlsf.free(a).unwrap();
        tlsf.free(b).unwrap();
        assert_eq!(
            tlsf.free(b).err(),
            Some(Misuse::DoubleFree),
            "merged into the block before"
        );
        tlsf.free(c).unwrap();
        for ptr in [a, b, c] {
            assert_eq!(tlsf.free(ptr).err(), Some(Misuse::DoubleFree));
        }
        assert_sound(tlsf);
    }
}

#[test]
fn group_i_overflows_and_writes_after_free_are_found_at_the_next_call() {
    let heap = Heap::new();
    let tlsf = heap.tlsf();
    // SAFETY: the deliberate damage stays inside the heap and is undone.
    unsafe {
        // An overflow by one word: the next header.
        let ptr = heap.live[2];
        let next = ptr
            .as_ptr()
            .add(Tlsf::block_size(ptr.as_ptr()))
            .cast::<usize>();
        for value in [
            0,
            usize::MAX,
            0x4141_4141_4141_4141_u64 as usize,
            next.read() ^ 2,
        ] {
            let old = next.replace(value);
            assert_eq!(
                tlsf.free(ptr).err(),
                Some(Misuse::SmashedNext),
                "{value:#x}"
            );
            next.write(old);
        }
        // The ghost and the free block before.
        let ghost = ptr.as_ptr().cast::<usize>().sub(2);
        for value in [
            0,
            1,
            usize::MAX,
            ptr.as_ptr().addr(),
            heap.freed[6].as_ptr().addr(),
        ] {
            let old = ghost.replace(value);
            assert_eq!(
                tlsf.free(ptr).err(),
                Some(Misuse::SmashedPrev),
                "{value:#x}"
            );
            ghost.write(old);
        }
        // A link of the free block behind.
        let behind = ptr
            .as_ptr()
            .add(Tlsf::block_size(ptr.as_ptr()) + WORD)
            .cast::<usize>();
        for word in [behind, behind.add(1)] {
            for value in [1, 16, usize::MAX & !15, ptr.as_ptr().addr()] {
                let old = word.replace(value);
                assert_eq!(
                    tlsf.free(ptr).err(),
                    Some(Misuse::SmashedLink),
                    "{value:#x}"
                );
                word.write(old);
            }
        }
        tlsf.free(ptr).unwrap();
        assert_sound(tlsf);
    }
}
