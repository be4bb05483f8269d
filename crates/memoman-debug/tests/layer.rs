//! The debug layer under random traffic and at its edges, through the core's interface: the layer
//! of the debug libraries, named directly instead of chosen by `--cfg memoman_debug`.

use std::ptr::NonNull;

use memoman_core::{Misuse, Pool, Tlsf};
use memoman_debug::{DebugTlsf, FREED, FRESH, GUARD, Kind, QUARANTINE_BLOCKS, Refusal};

/// An instance in memory of its own.
struct Heap {
    tlsf: DebugTlsf,
    _memory: Vec<u64>,
}

fn heap(bytes: usize) -> Heap {
    let mut memory = vec![0u64; bytes / 8];
    // SAFETY: the memory lives as long as the instance.
    let tlsf = unsafe { DebugTlsf::create_with_pool(memory.as_mut_ptr().cast(), bytes) };
    Heap {
        tlsf: tlsf.expect("enough memory"),
        _memory: memory,
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % limit
    }
}

fn seed() -> u64 {
    let given = std::env::var("MM_SEED").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// All bytes of a block.
unsafe fn all(block: NonNull<u8>, bytes: usize, value: u8) -> bool {
    // SAFETY: the block has `bytes` bytes (caller).
    unsafe { std::slice::from_raw_parts(block.as_ptr(), bytes) }
        .iter()
        .all(|&byte| byte == value)
}

#[test]
fn random_traffic_keeps_contents_alignment_and_figures() {
    let heap = heap(1 << 18);
    let tlsf = heap.tlsf;
    let mut random = Random(seed().wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut blocks: Vec<(NonNull<u8>, usize, usize, u8)> = Vec::new();
    let (mut refused, mut evicted) = (0, 0);
    for turn in 0..60_000 {
        let most = if random.below(20) == 0 { 20_000 } else { 300 };
        let size = 1 + random.below(most);
        let align = 1 << random.below(10);
        let tag = turn as u8 ^ 0x5A;
        // SAFETY: live instance; the blocks came from it.
        unsafe {
            match random.below(5) {
                0 | 1 => match tlsf.memalign(align, size) {
                    Ok(block) => {
                        assert!(all(block, size, FRESH), "seed {} turn {turn}", seed());
                        block.as_ptr().write_bytes(tag, size);
                        blocks.push((block, size, align, tag));
                    }
                    Err(Refusal::Exhausted) => refused += 1,
                    Err(other) => panic!("seed {} turn {turn}: {other:?}", seed()),
                },
                2 if !blocks.is_empty() => {
                    let at = random.below(blocks.len());
                    let (block, old, align, tag) = blocks[at];
                    match tlsf.realloc_aligned(block, align, size) {
                        Ok(moved) => {
                            assert!(
                                all(moved, old.min(size), tag),
                                "seed {} turn {turn}",
                                seed()
                            );
                            moved.as_ptr().write_bytes(tag, size);
                            blocks[at] = (moved, size, align, tag);
                        }
                        Err(Refusal::Exhausted) => {
                            assert!(all(block, old, tag));
                            refused += 1;
                        }
                        Err(other) => panic!("seed {} turn {turn}: {other:?}", seed()),
                    }
                }
                _ if !blocks.is_empty() => {
                    let (block, size, _, tag) = blocks.swap_remove(random.below(blocks.len()));
                    assert!(all(block, size, tag), "seed {} turn {turn}", seed());
                    let freed = tlsf.free(block).expect("a live block");
                    evicted += usize::from(tlsf.emptied_pool(freed).is_some());
                }
                _ => {}
            }
            for &(block, size, align, _) in blocks.iter().take(4) {
                assert_eq!(DebugTlsf::block_size(block.as_ptr()), size);
                assert!(
                    block
                        .as_ptr()
                        .addr()
                        .is_multiple_of(align.max(DebugTlsf::ALIGN))
                );
            }
            if turn % 64 == 0 {
                assert_eq!(tlsf.diagnose(), None, "seed {} turn {turn}", seed());
            }
            let stats = tlsf.stats();
            assert_eq!(stats.live_blocks, blocks.len());
            assert_eq!(stats.used + stats.free + stats.overhead, stats.pool_bytes);
        }
    }
    assert!(refused > 100, "the heap was full at times: {refused}");
    assert_eq!(evicted, 0, "the pool was never empty");
    // SAFETY: live instance; the blocks came from it.
    unsafe {
        for (block, ..) in blocks {
            tlsf.free(block).expect("a live block");
        }
        assert_eq!(tlsf.stats().used, 0);
        tlsf.drain().expect("nothing is wrong");
        let pool: Pool = tlsf.first_pool().expect("one");
        assert!(pool.is_empty());
        assert_eq!(tlsf.diagnose(), None);
    }
}

#[test]
fn quarantine_is_bounded_in_blocks_and_bytes() {
    let heap = heap(1 << 22);
    let tlsf = heap.tlsf;
    // SAFETY: live instance; the blocks came from it.
    unsafe {
        let first = tlsf.malloc(8).unwrap();
        tlsf.free(first).unwrap();
        // This number of later frees pushes it out, and no smaller one.
        for turn in 0..QUARANTINE_BLOCKS {
            assert!(all(first, 8, FREED), "turn {turn}");
            assert_eq!(held(tlsf, first), turn < QUARANTINE_BLOCKS, "turn {turn}");
            let block = tlsf.malloc(8).unwrap();
            tlsf.free(block).unwrap();
        }
        assert!(!held(tlsf, first));
        tlsf.drain().unwrap();
        // A quarter of the pool's bytes.
        let first = tlsf.malloc(1000).unwrap();
        tlsf.free(first).unwrap();
        let mut bytes = 0;
        while held(tlsf, first) {
            bytes += 50_000;
            let block = tlsf.malloc(50_000).unwrap();
            tlsf.free(block).unwrap();
        }
        let quarter = tlsf.stats().pool_bytes / 4;
        assert!(
            bytes <= quarter + 50_000 && bytes + 60_000 >= quarter,
            "{bytes} of {quarter}"
        );
    }
}

/// A freed block is still in quarantine: in use for the core.
unsafe fn held(tlsf: DebugTlsf, block: NonNull<u8>) -> bool {
    let mut found = false;
    // SAFETY: live instance (caller).
    unsafe {
        tlsf.first_pool().unwrap().walk(&mut |base, usable, used| {
            let inside = base.as_ptr().addr()..base.as_ptr().addr() + usable;
            found |= used && inside.contains(&block.as_ptr().addr());
        });
    }
    found
}

#[test]
fn every_guard_byte_counts_on_both_sides() {
    let heap = heap(1 << 16);
    let tlsf = heap.tlsf;
    // SAFETY: live instance; the overwritten bytes are restored.
    unsafe {
        for size in [1, 7, 8, 24, 25, 100] {
            for align in [16, 64, 1024] {
                let block = tlsf.at(7).memalign(align, size).unwrap();
                for distance in 0..GUARD {
                    for (place, kind) in [
                        (block.as_ptr().wrapping_sub(1 + distance), Kind::Underflow),
                        (block.as_ptr().wrapping_add(size + distance), Kind::Overflow),
                    ] {
                        let kept = place.read();
                        place.write(kept ^ 1);
                        let fault = tlsf.free(block).expect_err("found");
                        assert_eq!((fault.kind, fault.place), (kind, place.cast_const()));
                        let known = fault.block.expect("named");
                        assert_eq!((known.size, known.allocated), (size, 7));
                        assert_eq!(tlsf.diagnose().expect("found").fault, fault);
                        place.write(kept);
                    }
                }
                tlsf.at(8).free(block).unwrap();
                let fault = tlsf.free(block).expect_err("freed twice");
                assert_eq!(fault.kind, Kind::Core(Misuse::DoubleFree));
                let known = fault.block.expect("named");
                assert_eq!((known.allocated, known.freed, known.is_freed), (7, 8, true));
            }
        }
    }
}

#[test]
fn an_exact_pool_serves_its_one_block_again_and_again() {
    for n in (DebugTlsf::BLOCK_SIZE_MIN..400).step_by(DebugTlsf::ALIGN) {
        let mut control = vec![0u64; DebugTlsf::control_size(1 << 16) / 8];
        let mut memory = vec![0u128; (DebugTlsf::POOL_OVERHEAD + n).div_ceil(16)];
        // SAFETY: both live as long as the instance.
        unsafe {
            let tlsf = DebugTlsf::create(control.as_mut_ptr().cast(), 1 << 16).unwrap();
            let bytes = DebugTlsf::POOL_OVERHEAD + n;
            assert!(tlsf.add_pool(memory.as_mut_ptr().cast(), bytes).is_some());
            for _ in 0..3 {
                // The quarantine is drained for it.
                let block = tlsf.malloc(n).expect("exact");
                assert_eq!(tlsf.malloc(1), Err(Refusal::Exhausted));
                tlsf.free(block).unwrap();
            }
            assert_eq!(tlsf.malloc(n + 1), Err(Refusal::Exhausted));
        }
    }
}

#[test]
fn no_pool_and_no_extension_covers_the_ledger() {
    let mut memory = vec![0u128; 4096];
    let start: *mut u8 = memory.as_mut_ptr().cast();
    // SAFETY: all inside one buffer that lives as long as the instance.
    unsafe {
        let at = start.wrapping_add(16_384);
        let tlsf = DebugTlsf::create(at, 1 << 12).unwrap();
        let extra = DebugTlsf::ALLOC_OVERHEAD - Tlsf::ALLOC_OVERHEAD;
        let ledger = DebugTlsf::control_size(1 << 12) - Tlsf::control_size((1 << 12) + extra);
        assert!(ledger >= 8 * size_of::<*const u8>());
        assert!(tlsf.add_pool(start, 16_384 + ledger).is_none());
        assert!(tlsf.add_pool(start, 16_385).is_none());
        let pool = tlsf.add_pool(start, 8192).unwrap();
        assert!(!tlsf.extend_pool(pool, 8192 + ledger));
        assert!(tlsf.extend_pool(pool, 8192));
    }
}
