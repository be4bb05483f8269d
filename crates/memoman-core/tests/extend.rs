//! Extending a pool: to the byte, up to its neighbours and limits; a refusal changes nothing (group
//! D).

mod support;

use memoman_core::Tlsf;
use support::fronts::ByTurns;
use support::pools::{add, blocks, unchanged};
use support::{Instance, Region, assert_sound};

const WORD: usize = size_of::<usize>();
const QUANTUM: usize = Tlsf::ALIGN;
/// Bytes of a pool that belong to no block.
const COST: usize = Tlsf::POOL_OVERHEAD - WORD;
/// Smallest block, header included.
const BLOCK_MIN: usize = Tlsf::BLOCK_SIZE_MIN + WORD;

#[test]
fn group_d_extending_after_a_live_block_needs_a_block_and_after_a_free_one_a_quantum() {
    for live in [false, true] {
        for more in 0..3 * BLOCK_MIN {
            let region = Region::new(1024 + 3 * BLOCK_MIN, 0, 0xFF);
            let instance = Instance::new(1 << 12);
            let tlsf = instance.tlsf;
            let pool = add(tlsf, region.start(), 1024).unwrap();
            // SAFETY: live instance, pool and block; the extension is the region's tail.
            unsafe {
                let all = 1024 - COST - WORD;
                let block = live.then(|| tlsf.malloc(all).unwrap());
                if let Some(block) = block {
                    block.as_ptr().write_bytes(0x33, all);
                }
                let grown = more & !(QUANTUM - 1);
                if grown < if live { BLOCK_MIN } else { QUANTUM } {
                    unchanged(tlsf, &[&region], "too few", || tlsf.extend_pool(pool, more));
                    continue;
                }
                assert!(tlsf.extend_pool(pool, more), "{more}");
                let stats = assert_sound(tlsf);
                assert_eq!(stats.pool_bytes, 1024 + grown);
                assert_eq!(stats.overhead, COST);
                match block {
                    Some(block) => {
                        assert_eq!(blocks(pool), [(all, true), (grown - WORD, false)]);
                        let contents = std::slice::from_raw_parts(block.as_ptr(), all);
                        assert!(contents.iter().all(|&byte| byte == 0x33));
                        tlsf.free_by_turns(block).unwrap();
                    }
                    None => assert_eq!(blocks(pool), [(all + grown, false)]),
                }
                // The whole pool can be one block, and is freed as one.
                let whole = tlsf.malloc(all + grown).unwrap();
                tlsf.free_by_turns(whole).unwrap();
                assert!(tlsf.remove_pool(region.start()));
            }
        }
    }
}

#[test]
fn group_d_extensions_add_up_byte_by_byte() {
    let region = Region::new(4096, 3, 0xFF);
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let pool = add(tlsf, region.start(), 1024).unwrap();
    let mut bytes = 1024;
    // SAFETY: live instance and pool; the extension is the region's tail.
    unsafe {
        for more in [7, 9, 16, 17, 15, 1000, 31] {
            // Less than a whole quantum is refused, not remembered.
            if tlsf.extend_pool(pool, more) {
                bytes += more;
            }
            let end = region.start().addr() + bytes;
            let (start, rounded) = pool.memory();
            assert_eq!(start.addr() + rounded, end & !(QUANTUM - 1));
            assert_sound(tlsf);
        }
        assert_eq!(blocks(pool).len(), 1);
    }
}

#[test]
fn group_d_an_extension_stops_at_the_next_pool_and_at_the_end_of_the_address_space() {
    let region = Region::new(4096, 0, 0);
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let at = |offset: usize| region.start().wrapping_add(offset);
    let pool = add(tlsf, at(0), 1024).unwrap();
    add(tlsf, at(2048), 1024).unwrap();
    // SAFETY: live instance and pool; the extension lies before the next pool.
    unsafe {
        for more in [
            0,
            1025,
            2048,
            usize::MAX,
            usize::MAX - at(1024).addr(),
            usize::MAX - at(1024).addr() + 1,
            // A size that a header can hold: only the next pool is in the way.
            (if size_of::<usize>() == 8 {
                1u64 << 47
            } else {
                1 << 30
            }) as usize,
        ] {
            unchanged(tlsf, &[&region], &format!("{more:#x}"), || {
                tlsf.extend_pool(pool, more)
            });
        }
        assert!(tlsf.extend_pool(pool, 1024));
        assert_sound(tlsf);
    }
}

// On 32-bit targets the address space ends below a header's largest size.
#[cfg(target_pointer_width = "64")]
#[test]
fn group_d_a_pool_cannot_become_greater_than_a_header_can_say() {
    let control = Tlsf::control_size(1 << 12).next_multiple_of(QUANTUM);
    let region = Region::new(control + 1024, 0, 0);
    // The test has no memory after the pool.
    // SAFETY: the region belongs to the test; a refused call touches nothing.
    unsafe {
        let tlsf = Tlsf::create(region.start(), 1 << 12).unwrap();
        let pool = add(tlsf, region.start().wrapping_add(control), 1024).unwrap();
        let room = (1usize << 48) - 1024;
        for more in [room, room + QUANTUM, room + 1023, 1 << 48, 1 << 50, 1 << 62] {
            unchanged(tlsf, &[&region], &format!("{more:#x}"), || {
                tlsf.extend_pool(pool, more)
            });
        }
    }
}

#[test]
fn group_d_a_pool_with_an_overwritten_end_is_not_extended() {
    let region = Region::new(2048, 0, 0);
    let instance = Instance::new(1 << 12);
    let tlsf = instance.tlsf;
    let pool = add(tlsf, region.start(), 1024).unwrap();
    // SAFETY: live instance and pool; the damage is undone.
    unsafe {
        let sentinel = region.start().add(1024).cast::<usize>().sub(1);
        let ghost = sentinel.sub(1);
        let old = sentinel.replace(sentinel.read() ^ 4);
        assert!(!tlsf.extend_pool(pool, 512), "no sentinel");
        sentinel.write(old);
        let old = ghost.replace(ghost.read() ^ QUANTUM);
        assert!(!tlsf.extend_pool(pool, 512), "wrong ghost");
        ghost.write(old);
        assert!(tlsf.extend_pool(pool, 512));
        assert_sound(tlsf);
    }
}
