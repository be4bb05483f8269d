//! Buffers that grow by `realloc`: by what is in memory already, and without holes in the heap.
#![cfg(target_pointer_width = "64")]

mod support;

use memoman_global as heap;
use std::ptr;
use support::{OS_PAGE, byte, faults, filled, free, quietly, resized, status};

const MIB: usize = 1 << 20;

#[test]
fn a_buffer_that_grows_anew_finds_its_pages() {
    let name = "a_buffer_that_grows_anew_finds_its_pages";
    quietly(name, &[], || {
        for top in [256 << 10, MIB, 5 * MIB] {
            let mut before = 0;
            for round in 0..30 {
                if round == 10 {
                    before = faults();
                }
                let (mut buffer, mut bytes) = (ptr::null_mut(), 1024);
                while bytes <= top {
                    // Sizes that are whole pages, and others.
                    let more = round % 7 * 8;
                    buffer = resized(buffer, bytes + more);
                    assert!(round == 0 || bytes == 1024 || byte(buffer, bytes / 4) == 0x5A);
                    filled(buffer, bytes + more);
                    bytes *= 2;
                }
                free(buffer);
            }
            // Growing to it by fresh pages would take half of them in each round.
            let met = faults() - before;
            assert!(met < top / OS_PAGE / 2, "{top}: {met}");
        }
        assert!(heap::validate());
    });
}

#[test]
fn buffers_that_grow_in_turns_take_little_more_than_they_hold() {
    let name = "buffers_that_grow_in_turns_take_little_more_than_they_hold";
    quietly(name, &[], || {
        const TOP: usize = 400 << 10;
        let mut buffers = [ptr::null_mut::<u8>(); 200];
        for bytes in (16 << 10..=TOP).step_by(16 << 10) {
            for (index, buffer) in buffers.iter_mut().enumerate() {
                *buffer = resized(*buffer, bytes);
                // SAFETY: the last bytes of a live block.
                unsafe {
                    buffer
                        .add(bytes - (16 << 10))
                        .write_bytes(index as u8, 16 << 10)
                };
            }
        }
        for (index, &buffer) in buffers.iter().enumerate() {
            assert!(
                (0..TOP)
                    .step_by(1000)
                    .all(|at| byte(buffer, at) == index as u8)
            );
        }
        let most = 200 * TOP / 1024 * 11 / 10 + 4096;
        assert!(status("VmHWM") < most, "{} KiB", status("VmHWM"));
        buffers.into_iter().for_each(free);
        assert!(heap::validate());
    });
}
