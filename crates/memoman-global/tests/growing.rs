//! Buffers that grow by `realloc`: by what is in memory already, and without holes in the heap.
#![cfg(target_pointer_width = "64")]

mod support;

use memoman_global as heap;
use std::mem::MaybeUninit;
use std::ptr;
use support::{free, quietly, status};

const MIB: usize = 1 << 20;
const OS_PAGE: usize = 4096;

fn resized(block: *mut u8, bytes: usize) -> *mut u8 {
    // SAFETY: a live block or null, not used any more if it is resized.
    unsafe { heap::realloc(block, bytes) }
}

fn filled(block: *mut u8, bytes: usize) -> *mut u8 {
    assert!(!block.is_null());
    // SAFETY: a live block of that many bytes.
    unsafe { block.write_bytes(0x5A, bytes) };
    block
}

fn byte(block: *mut u8, at: usize) -> u8 {
    // SAFETY: an initialised byte of a live block.
    unsafe { block.add(at).read() }
}

/// Page faults of this thread so far that needed no reading.
fn faults() -> usize {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: writes the struct.
    unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()), 0);
        usage.assume_init().ru_minflt as usize
    }
}

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
