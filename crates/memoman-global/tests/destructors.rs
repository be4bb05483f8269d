//! Threads whose destructors of thread-specific values allocate and free.

mod support;

use core::ffi::c_void;
use memoman_global as heap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{ptr, thread};
use support::{free, pool_pages, quietly};

/// The round of destructors in which a heap is given up. Those of keys made after the heap's own
/// find no heap there.
const LAST_ROUND: usize = 2;
/// Blocks allocated by the destructor of another key in the last round.
static LATE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// Blocks that it allocated in the rounds before, one after the other.
static EARLY: Mutex<Vec<usize>> = Mutex::new(Vec::new());
static KEY: AtomicUsize = AtomicUsize::new(0);

/// The destructor exhausts the process-wide instance instead.
static FILLS: AtomicBool = AtomicBool::new(false);

extern "C" fn late(value: *mut c_void) {
    let round = value.addr();
    if round < LAST_ROUND {
        let early = heap::malloc(1000);
        free(early);
        EARLY.lock().unwrap().push(early.addr());
        let next = ptr::without_provenance(round + 1);
        // SAFETY: the key exists.
        unsafe { libc::pthread_setspecific(KEY.load(Ordering::Relaxed) as _, next) };
        return;
    }
    if FILLS.load(Ordering::Relaxed) {
        for bytes in [3000, 1] {
            while !heap::malloc(bytes).is_null() {}
        }
        return;
    }
    let small = heap::malloc(1000);
    assert!(!small.is_null());
    LATE.lock().unwrap().push(small.addr());
    // SAFETY: a live block, not used any more when it is resized.
    let (usable, small) = unsafe { (heap::usable_size(small), heap::realloc(small, 3000)) };
    assert!(usable >= 1000);
    let others = [
        heap::malloc(20_000),
        heap::calloc(10, 10),
        heap::memalign(64, 100),
    ];
    for block in others.into_iter().chain([small]) {
        assert!(!block.is_null());
        free(block);
    }
}

/// Runs a thread that ends with [`late`]. Returns the address of its first block.
fn life_with_late_end() -> usize {
    let key = KEY.load(Ordering::Relaxed) as libc::pthread_key_t;
    let life = move || {
        // SAFETY: the key exists.
        unsafe { libc::pthread_setspecific(key, ptr::without_provenance(1)) };
        let block = heap::malloc(1000);
        free(block);
        block.addr()
    };
    thread::spawn(life).join().unwrap()
}

fn make_key() {
    let mut key = 0;
    // SAFETY: writes to `key`.
    assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(late)) }, 0);
    KEY.store(key as usize, Ordering::Relaxed);
}

#[test]
fn destructors_have_the_threads_heap_for_a_round() {
    let name = "destructors_have_the_threads_heap_for_a_round";
    quietly(name, &[], || {
        free(heap::malloc(1));
        make_key();
        LATE.lock().unwrap().reserve(100);
        EARLY.lock().unwrap().reserve(200);
        let first = life_with_late_end();
        for _ in 0..50 {
            assert_eq!(life_with_late_end(), first);
        }
        let early = EARLY.lock().unwrap();
        assert_eq!(early.len(), 51 * (LAST_ROUND - 1));
        assert!(early.iter().all(|&early| early == first));
        let late = LATE.lock().unwrap();
        assert_eq!(late.len(), 51);
        assert!(late.iter().all(|&small| small != first), "{first} {late:?}");
        assert_eq!(pool_pages(), 16);
        assert_eq!(heap::stats().live_blocks, 0);
        assert!(heap::validate());
    });
}

/// A destructor that makes its thread's first call.
extern "C" fn frees_at_the_end(value: *mut c_void) {
    free(value.cast());
    EARLY.lock().unwrap().push(heap::malloc(1000).addr());
}

#[test]
fn threads_that_allocate_at_their_end_only() {
    let name = "threads_that_allocate_at_their_end_only";
    quietly(name, &[], || {
        let mut key = 0;
        free(heap::malloc(1));
        // SAFETY: writes to `key`.
        let made = unsafe { libc::pthread_key_create(&mut key, Some(frees_at_the_end)) };
        assert_eq!(made, 0);
        for _ in 0..200 {
            let mut thread = 0;
            extern "C" fn life(value: *mut c_void) -> *mut c_void {
                // SAFETY: the key exists.
                unsafe { libc::pthread_setspecific(KEY.load(Ordering::Relaxed) as _, value) };
                ptr::null_mut()
            }
            KEY.store(key as usize, Ordering::Relaxed);
            // SAFETY: a thread that is joined; its function takes a block.
            unsafe {
                let block = heap::malloc(1000).cast();
                assert_eq!(
                    libc::pthread_create(&mut thread, ptr::null(), life, block),
                    0
                );
                assert_eq!(libc::pthread_join(thread, ptr::null_mut()), 0);
            }
        }
        // Each thread's block lies where the one before it has given up its heap.
        let ends = EARLY.lock().unwrap();
        assert_eq!(ends.len(), 200);
        ends.iter()
            .for_each(|&block| free(ptr::with_exposed_provenance_mut(block)));
        assert!(pool_pages() <= 32, "{}", pool_pages());
        assert!(heap::validate());
    });
}

#[test]
fn trim_returns_true_for_pages_of_a_thread_heap() {
    let name = "trim_returns_true_for_pages_of_a_thread_heap";
    quietly(name, &[("MEMOMAN_GROW", "0")], || {
        let block = heap::malloc(1000);
        let hole = heap::malloc(30 << 10);
        make_key();
        FILLS.store(true, Ordering::Relaxed);
        life_with_late_end();
        assert!(heap::malloc(300 << 10).is_null());
        // One block of the thread's segment is live, and whole pages are free.
        free(hole);
        assert!(heap::trim(0));
        free(block);
    });
}
