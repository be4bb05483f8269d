//! Instances created, reset and created again on the same memory, which is never cleared: pointers,
//! cursors and headers of an earlier life are not those of the present one (group I).

mod support;

use memoman_core::{Cursor, Misuse, Refusal, Step, Tlsf};
use std::ptr::NonNull;
use support::fronts::ByTurns;
use support::{Random, Region, assert_sound};

const WORD: usize = size_of::<usize>();
const BYTES: usize = 8 << 10;
const MAX_BLOCK: usize = 1 << 10;

/// Memory in which instances follow each other: places for the control structure, then one pool.
struct Memory {
    region: Region,
    random: Random,
}

impl Memory {
    const PLACES: usize = 3;

    fn new(seed: u64) -> Memory {
        Memory {
            region: Region::new(Memory::pool_at() + BYTES, 0, 0),
            random: Random(seed),
        }
    }

    fn control(&self, place: usize) -> *mut u8 {
        let bytes = Tlsf::control_size(MAX_BLOCK);
        self.region.start().wrapping_add(place * bytes)
    }

    fn pool_at() -> usize {
        Memory::PLACES * Tlsf::control_size(MAX_BLOCK)
    }

    /// Begins a life with this number, or one of the counter's, at any of the places, with a pool
    /// that begins and ends anywhere.
    fn begin(&mut self, life: Option<usize>) -> Tlsf {
        let place = self.random.below(Memory::PLACES);
        let control = self.control(place);
        let (skip, less) = (self.random.below(20), self.random.below(20));
        let pool = self.region.start().wrapping_add(Memory::pool_at());
        // SAFETY: the region outlives the instance; the one before is given up.
        unsafe {
            let tlsf = match life {
                Some(life) => Tlsf::create_seeded(control, MAX_BLOCK, life),
                None => Tlsf::create(control, MAX_BLOCK),
            };
            let tlsf = tlsf.unwrap();
            let (pool, bytes) = (pool.wrapping_add(skip * 8), BYTES - (skip + less) * 8);
            tlsf.add_pool(pool, bytes).unwrap();
            tlsf
        }
    }

    /// Allocates, resizes and frees at random; returns the blocks in use. Writes to no payload.
    fn use_heap(&mut self, tlsf: Tlsf) -> Vec<NonNull<u8>> {
        let mut live = Vec::new();
        for _ in 0..20 + self.random.below(60) {
            let octave = 3 + self.random.below(7);
            let bytes = 1 + self.random.below(1 << octave);
            let kind = self.random.below(8);
            // SAFETY: a live instance and live blocks of it.
            unsafe {
                if kind < 4 || live.is_empty() {
                    live.extend(tlsf.malloc(bytes));
                    continue;
                }
                let index = self.random.below(live.len());
                if kind < 6 {
                    let _ = tlsf.free_by_turns(live.swap_remove(index)).unwrap();
                } else if let Ok(moved) = tlsf.realloc(live[index], bytes) {
                    live[index] = moved;
                }
            }
        }
        assert_sound(tlsf);
        live
    }

    /// All words of the pool's memory with a quantum's header place.
    fn header_places(&self) -> impl Iterator<Item = *mut usize> + use<> {
        let start = self.region.start().wrapping_add(Memory::pool_at());
        let first = start.wrapping_add(start.align_offset(2 * WORD) + WORD);
        let count = (start.addr() + BYTES - first.addr()) / (2 * WORD);
        (0..count).map(move |index| first.wrapping_add(index * 2 * WORD).cast())
    }
}

/// Fills the heap with blocks in use; the pointers of an earlier life that lie inside them are
/// reported. Returns their number.
#[cfg(target_pointer_width = "64")]
fn assert_stale(tlsf: Tlsf, stale: &[NonNull<u8>]) -> usize {
    // SAFETY: a live instance; misused pointers lie in its pool's memory.
    unsafe {
        let live: Vec<_> = std::iter::from_fn(|| tlsf.malloc(MAX_BLOCK).ok()).collect();
        let before = assert_sound(tlsf);
        let covered = |old: &&NonNull<u8>| {
            let place = old.addr().get();
            let inside = |live: &NonNull<u8>| {
                place > live.addr().get() && place - live.addr().get() < MAX_BLOCK
            };
            live.iter().any(inside)
        };
        let covered: Vec<_> = stale.iter().filter(covered).collect();
        for &&old in &covered {
            assert_eq!(tlsf.usable_size(old), Err(Misuse::NotABlock));
            assert_eq!(tlsf.free_by_turns(old).err(), Some(Misuse::NotABlock));
            let refused = Err(Refusal::Misuse(Misuse::NotABlock, old.as_ptr()));
            assert_eq!(tlsf.realloc(old, 1), refused);
            assert_eq!(tlsf.realloc_aligned(old, 64, 300), refused);
        }
        assert_eq!(assert_sound(tlsf), before);
        covered.len()
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn group_i_pointers_of_an_earlier_life_are_reported() {
    let (mut memory, mut found) = (Memory::new(1), 0);
    // One life after another by the counter, where there is one, or with successive seeds.
    let counted = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
    for life in 0..2000 {
        let seed = (!counted || life % 2 == 0).then_some(life);
        let tlsf = memory.begin(seed);
        let stale = memory.use_heap(tlsf);
        // SAFETY: the blocks are given up.
        let again = unsafe {
            match memory.random.below(4) {
                0 => {
                    assert!(tlsf.reset());
                    tlsf
                }
                1 => {
                    tlsf.destroy();
                    memory.begin(seed.map(|life| life + 1))
                }
                // The pool is given back and added again, in another life.
                2 => {
                    assert!(tlsf.reset());
                    let (mem, bytes) = tlsf.first_pool().unwrap().memory();
                    assert!(tlsf.remove_pool(mem));
                    tlsf.add_pool(mem, bytes).unwrap();
                    tlsf
                }
                _ => memory.begin(seed.map(|life| life + 1)),
            }
        };
        found += assert_stale(again, &stale);
    }
    assert!(found > 10_000, "only {found} stale pointers");
}

/// Headers damaged in one life, and how many of them validation has missed.
#[cfg(target_pointer_width = "64")]
fn damage(memory: &mut Memory, life: usize) -> (usize, usize) {
    let tlsf = memory.begin(Some(life));
    memory.use_heap(tlsf);
    let places: Vec<_> = memory.header_places().collect();
    let mut present = Vec::new();
    // SAFETY: a live pool.
    unsafe {
        let pool = tlsf.first_pool().unwrap();
        pool.walk(&mut |ptr, bytes, _| present.push((ptr.as_ptr(), bytes + WORD)));
    }
    let (mut damaged, mut missed) = (0, 0);
    for _ in 0..8 {
        let (payload, size) = present[memory.random.below(present.len())];
        let header = payload.cast::<usize>().wrapping_sub(1);
        // Mostly a size that leads onto a word like a header.
        let mut led_to = places[memory.random.below(places.len())];
        for _ in 0..20 {
            // SAFETY: a word of the pool's memory.
            if led_to > header && unsafe { led_to.read() } >> 63 == 1 {
                break;
            }
            led_to = places[memory.random.below(places.len())];
        }
        let wrong = led_to.addr().wrapping_sub(header.addr());
        if led_to <= header || wrong == size {
            continue;
        }
        damaged += 1;
        // SAFETY: a header of a live instance, which is restored.
        unsafe {
            let right = header.read();
            header.write(right - size + wrong);
            missed += usize::from(tlsf.diagnose().is_none());
            header.write(right);
        }
    }
    (damaged, missed)
}

#[test]
#[cfg(target_pointer_width = "64")]
fn group_i_damage_does_not_lead_onto_headers_of_an_earlier_life() {
    let rounds = std::env::var("MM_ROUNDS").map_or(100_000, |text| text.parse().unwrap());
    let run = |lives: &mut dyn Iterator<Item = usize>| {
        let mut memory = Memory::new(2);
        lives.fold((0, 0), |sum, life| {
            let (damaged, missed) = damage(&mut memory, life);
            (sum.0 + damaged, sum.1 + missed)
        })
    };
    let (damaged, missed) = run(&mut (0..rounds / 8));
    println!("{damaged} headers damaged");
    assert_eq!(missed, 0);
    assert!(damaged > rounds / 2);
    // With one seal for all lives, some lead onto headers of earlier ones.
    let (damaged, missed) = run(&mut std::iter::repeat_n(0, 4000));
    println!("with one seal, {missed} of {damaged} missed");
    assert!(
        missed > 0,
        "none of {damaged} wrong sizes leads onto a stale header"
    );
}

#[test]
fn group_i_a_cursor_of_an_earlier_life_begins_again() {
    let mut memory = Memory::new(3);
    for life in 0..500 {
        let tlsf = memory.begin(Some(2 * life));
        memory.use_heap(tlsf);
        let mut cursor = Cursor::START;
        for _ in 0..memory.random.below(20) {
            // SAFETY: a live instance; the cursor is its own.
            if unsafe { tlsf.validate_step(&mut cursor, 3) } != Step::More {
                break;
            }
        }
        let again = if life % 2 == 0 {
            // SAFETY: the blocks are given up.
            assert!(unsafe { tlsf.reset() });
            tlsf
        } else {
            memory.begin(Some(2 * life + 1))
        };
        memory.use_heap(again);
        let steps = |cursor: &mut Cursor| {
            (1..)
                .find_map(|count| {
                    // SAFETY: a live instance; its cursor, or one of an earlier life.
                    match unsafe { again.validate_step(cursor, 3) } {
                        Step::More => None,
                        end => Some((count, end)),
                    }
                })
                .unwrap()
        };
        let mut start = Cursor::START;
        let whole = steps(&mut start);
        assert_eq!(whole.1, Step::Sound);
        assert_eq!(steps(&mut cursor), whole, "not from the start");
    }
}

#[test]
fn group_i_equal_seeds_give_equal_heaps() {
    let mut memory = Memory::new(4);
    let mut images = [vec![], vec![]];
    for image in &mut images {
        memory.random = Random(5);
        // SAFETY: the whole region is the test's.
        unsafe { memory.region.start().write_bytes(0, memory.region.bytes()) };
        let tlsf = memory.begin(Some(77));
        memory.use_heap(tlsf);
        *image = memory.region.image();
    }
    assert!(images[0] == images[1]);
}
