//! The rules of each call: NULL, zero, errno, misuse; and that both sides of a fork can use the
//! heap.

mod support;

use core::ffi::{CStr, c_char, c_void};
use memoman_global as heap;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use support::{alone, child_succeeds, errno, free, quietly};

#[test]
fn zero_bytes_give_unique_pointers() {
    quietly("zero_bytes_give_unique_pointers", &[], || {
        let blocks = [
            heap::malloc(0),
            heap::malloc(0),
            heap::calloc(0, 8),
            heap::calloc(8, 0),
            heap::memalign(64, 0),
            // SAFETY: NULL allocates.
            unsafe { heap::realloc(ptr::null_mut(), 0) },
        ];
        // In the shim these are addresses without memory, which the figures do not count, where no
        // alignment is asked for.
        let apart = cfg!(feature = "late-checks");
        for (index, block) in blocks.iter().enumerate() {
            assert!(!block.is_null());
            assert!(!blocks[..index].contains(block));
            let usable = if apart && index != 4 { 0 } else { 24 };
            // SAFETY: a live block.
            assert_eq!(unsafe { heap::usable_size(*block) }, usable);
        }
        assert_eq!(heap::stats().live_blocks, if apart { 1 } else { 6 });
        blocks.into_iter().for_each(free);
        assert_eq!(heap::stats().live_blocks, 0);
        assert!(heap::validate());
    });
}

/// Found by the fuzzer: a heap that has to grow must allocate zero bytes too.
#[test]
fn zero_bytes_make_a_heap_grow() {
    quietly("zero_bytes_make_a_heap_grow", &[], || {
        // The thread has a heap from here on, without a segment.
        assert!(heap::memalign(1 << 63, 66).is_null());
        let blocks: Vec<_> = (0..100_000).map(|_| heap::malloc(0)).collect();
        assert!(blocks.iter().all(|block| !block.is_null()));
        assert!(heap::validate());
        blocks.into_iter().for_each(free);
    });
}

/// Two blocks of which the second lies directly after the first, across a header.
fn neighbours(bytes: usize) -> [*mut u8; 2] {
    let blocks: Vec<_> = (0..40).map(|_| heap::malloc(bytes)).collect();
    for &block in &blocks {
        // SAFETY: a live block.
        let after = block.addr() + unsafe { heap::usable_size(block) } + size_of::<usize>();
        if let Some(&other) = blocks.iter().find(|other| other.addr() == after) {
            return [block, other];
        }
    }
    panic!("no two blocks are neighbours");
}

#[test]
fn realloc_copies_what_was_there_and_no_more() {
    quietly("realloc_copies_what_was_there_and_no_more", &[], || {
        // From the thread's heap, and from the process-wide instance.
        for bytes in [100, 200 << 10] {
            let [block, after] = neighbours(bytes);
            // SAFETY: live blocks, within their usable bytes.
            unsafe {
                let usable = heap::usable_size(block);
                block.write_bytes(0x11, usable);
                after.write_bytes(0x5A, heap::usable_size(after));
                let moved = heap::realloc(block, 3 * usable);
                assert_ne!(moved, block, "the block after it is in use");
                let contents = std::slice::from_raw_parts(moved, 3 * usable);
                assert!(contents[..usable].iter().all(|&byte| byte == 0x11));
                let beyond = &contents[usable..];
                assert!(!beyond.chunks_exact(32).any(|part| part == [0x5A; 32]));
                free(moved);
                free(after);
            }
        }
        assert!(heap::validate());
    });
}

#[test]
fn errno_is_set_by_failures_only() {
    quietly("errno_is_set_by_failures_only", &[], || {
        heap::set_errno(99);
        let block = heap::malloc(100);
        let large = heap::malloc(3 << 20);
        let aligned = heap::memalign(4096, 100);
        let cleared = heap::calloc(10, 10);
        // SAFETY: live blocks; NULL is allowed.
        unsafe {
            let grown = heap::realloc(block, 1000);
            assert!(!grown.is_null());
            assert_eq!(heap::usable_size(ptr::null()), 0);
            assert!(heap::realloc(grown, 0).is_null());
            heap::free(ptr::null_mut());
        }
        free(large);
        free(aligned);
        free(cleared);
        assert!(heap::trim(0));
        assert_eq!(errno(), 99);
        assert_eq!(heap::stats().live_blocks, 0);
        for (count, size) in [
            (1 << 63, 2),
            (2, 1 << 63),
            (usize::MAX, 2),
            (1 << 33, 1 << 33),
        ] {
            heap::set_errno(0);
            assert!(heap::calloc(count, size).is_null());
            assert_eq!(errno(), libc::ENOMEM);
        }
        for align in [0, 3, 24, usize::MAX] {
            heap::set_errno(0);
            assert!(heap::memalign(align, 8).is_null());
            assert_eq!(errno(), libc::EINVAL);
        }
        // Neither counts as a request refused for lack of memory.
        assert_eq!(heap::stats().failed_requests, 0);
        assert!(heap::memalign(1 << 63, usize::MAX).is_null());
        assert_eq!(errno(), libc::ENOMEM);
        assert_eq!(heap::stats().failed_requests, 1);
    });
}

#[test]
fn calloc_clears_what_was_used_before() {
    quietly("calloc_clears_what_was_used_before", &[], || {
        let block = heap::malloc(1000);
        // SAFETY: a live block.
        unsafe { block.write_bytes(0xFF, heap::usable_size(block)) };
        free(block);
        let again = heap::calloc(125, 8);
        assert_eq!(again, block);
        // SAFETY: a live block of 1,000 bytes.
        let contents = unsafe { std::slice::from_raw_parts(again, 1000) };
        assert!(contents.iter().all(|&byte| byte == 0));
    });
}

#[test]
fn validation_sees_an_overwritten_header() {
    quietly("validation_sees_an_overwritten_header", &[], || {
        let block = heap::malloc(100);
        assert!(heap::validate());
        // SAFETY: the header of a live block, restored below.
        unsafe {
            let header = block.cast::<usize>().sub(1);
            let old = header.replace(0);
            assert!(!heap::validate());
            header.write(old);
        }
        assert!(heap::validate());
    });
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn handler(message: *const c_char, address: *const c_void, user: *mut c_void) {
    // SAFETY: the message is a C string.
    let message = unsafe { CStr::from_ptr(message) };
    assert_eq!(message, c"double free");
    assert_eq!(user.addr(), address.addr());
    CALLS.fetch_add(1, Ordering::Relaxed);
    // The lock is not held: a handler may allocate.
    free(heap::malloc(10));
}

#[test]
fn misuse_goes_to_the_handler_and_has_no_effect() {
    quietly("misuse_goes_to_the_handler_and_has_no_effect", &[], || {
        let tlsf = heap::handle().unwrap();
        assert!(heap::handle().is_some_and(|again| again.as_raw() == tlsf.as_raw()));
        let block = heap::malloc(100);
        let guard = heap::malloc(100);
        // SAFETY: the instance is live; the second free is the misuse under test.
        unsafe {
            tlsf.set_misuse_handler(Some(handler), block.cast());
            heap::free(block);
            let before = heap::stats();
            heap::free(block);
            assert!(heap::realloc(block, 200).is_null());
            assert_eq!(CALLS.load(Ordering::Relaxed), 2);
            assert_eq!(heap::stats(), before);
        }
        assert!(heap::validate());
        free(guard);
    });
}

#[test]
fn without_a_handler_misuse_is_one_line_and_an_abort() {
    let name = "without_a_handler_misuse_is_one_line_and_an_abort";
    let end = alone(name, &[], || {
        let block = heap::malloc(100);
        eprintln!("{block:p}");
        free(block);
        free(block);
    });
    if let Some(end) = end {
        assert_eq!(end.signal, Some(libc::SIGABRT));
        let (address, line) = end.stderr.split_once('\n').unwrap();
        assert_eq!(line, format!("memoman: double free: {address}\n"));
    }
}

#[test]
fn threads_share_one_heap_from_its_first_use_on() {
    quietly("threads_share_one_heap_from_its_first_use_on", &[], || {
        let threads: Vec<_> = (0..4)
            .map(|index| {
                thread::spawn(move || {
                    for round in 0..2_000 {
                        let bytes = 1 + (round * 37 + index * 11) % 3_000;
                        let block = heap::malloc(bytes);
                        // SAFETY: a live block of `bytes` bytes.
                        unsafe {
                            block.write_bytes(index as u8, bytes);
                            let contents = std::slice::from_raw_parts(block, bytes);
                            assert!(contents.iter().all(|&byte| byte == index as u8));
                        }
                        free(block);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(heap::validate());
        assert_eq!(heap::stats().live_blocks, 0);
    });
}

#[test]
fn a_fork_while_other_threads_allocate_leaves_the_child_a_sound_heap() {
    let name = "a_fork_while_other_threads_allocate_leaves_the_child_a_sound_heap";
    quietly(name, &[], || {
        static STOP: AtomicBool = AtomicBool::new(false);
        let threads: Vec<_> = (0..3)
            .map(|index| {
                thread::spawn(move || {
                    while !STOP.load(Ordering::Relaxed) {
                        let blocks =
                            [100, 5000, 300 << 10].map(|bytes| heap::malloc(bytes + index));
                        // Walks the heap under the lock, which is held most of the time.
                        assert!(heap::validate());
                        blocks.into_iter().for_each(free);
                    }
                })
            })
            .collect();
        for _ in 0..30 {
            let sound = child_succeeds(|| {
                let block = heap::malloc(2000);
                let sound = !block.is_null() && heap::validate();
                free(block);
                // A thread of the child can take the lock.
                thread::spawn(|| {
                    free(heap::malloc(100));
                    heap::validate()
                })
                .join()
                .is_ok_and(|valid| valid && sound)
            });
            assert!(sound);
        }
        STOP.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(heap::validate());
    });
}
