//! Inspection: walks, validation, figures, the version.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::{self, NonNull};

use super::allocator::{Cursor, Pool, Stats, Step, Tlsf, Violation};
use super::types::{mm_allocator_t, mm_cursor_t, mm_pool_t, mm_stats_t, mm_violation_t, mm_walker};
use super::{checker, is_sound, session, truth};

// The header's structs have the layout of the core's.
const _: () = {
    assert!(size_of::<mm_cursor_t>() == size_of::<Cursor>());
    assert!(align_of::<mm_cursor_t>() == align_of::<Cursor>());
    assert!(size_of::<mm_stats_t>() == size_of::<Stats>());
};

/// Calls `walker` for each block of the pool, in address order. It stops at an
/// overwritten header. With `pool` or `walker` NULL it does nothing.
/// O(blocks of the pool).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_walk_pool(pool: *mut mm_pool_t, walker: mm_walker, user: *mut c_void) {
    // SAFETY: boundary rules; the walker is the caller's C function and makes no call on the
    // allocator (documented).
    unsafe {
        if let (Some(pool), Some(walker)) = (Pool::from_raw(pool.cast()), walker) {
            checker::with_pool(pool, |pool, session| {
                walk(pool, &mut |payload, size, used| {
                    let visit = || walker(payload.as_ptr().cast(), size, truth(used), user);
                    match session {
                        Some(session) => session.interrupted(visit),
                        None => visit(),
                    }
                });
            });
        }
    }
}

/// [`Tlsf::walk_pool`], compiled once.
///
/// # Safety
/// The pool is live, and `f` makes no call on its instance.
#[inline(never)]
unsafe fn walk(pool: Pool, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
    // SAFETY: live pool, no call of `f` on its instance (caller).
    unsafe { Tlsf::walk_pool(pool, f) }
}

/// Checks every invariant of the allocator. Returns nonzero if it is sound; 0 if
/// not, or if the handle is NULL. mm_diagnose returns what is broken. Changes
/// nothing, reads nothing outside the pools, the control structure and the
/// cache's table, and always terminates, however damaged the heap is. O(blocks);
/// with a cache (mm_set_cache), O(blocks + cached blocks times pools).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_validate(allocator: *mut mm_allocator_t) -> c_int {
    // SAFETY: boundary rules.
    truth(unsafe { session(allocator).is_some_and(|tlsf| is_sound(tlsf.diagnose())) })
}

/// mm_validate for the blocks of one pool and their links: returns nonzero if
/// they are sound; 0 if not, or if `pool` is NULL. O(blocks in the pool times
/// pools) in the worst case, since a free list may link blocks of different
/// pools.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_validate_pool(pool: *mut mm_pool_t) -> c_int {
    // SAFETY: boundary rules.
    truth(unsafe { Pool::from_raw(pool.cast()).is_some_and(|pool| is_sound(diagnose_pool(pool))) })
}

/// mm_validate with the result of TLSF 3.1: 0 if the allocator is sound or the
/// handle is NULL, else minus the number of the first broken invariant.
/// O(blocks).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_check(allocator: *mut mm_allocator_t) -> c_int {
    // SAFETY: boundary rules.
    -number(unsafe { session(allocator).and_then(|tlsf| tlsf.diagnose()) })
}

/// mm_validate_pool with the result of TLSF 3.1: 0 if the pool is sound or
/// `pool` is NULL, else minus the number of the first broken invariant.
/// O(blocks in the pool times pools) in the worst case, since a free list may
/// link blocks of different pools.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_check_pool(pool: *mut mm_pool_t) -> c_int {
    // SAFETY: boundary rules.
    -number(unsafe { Pool::from_raw(pool.cast()).and_then(|pool| diagnose_pool(pool)) })
}

/// Validates up to `max_blocks` blocks (at least one), the control structure
/// and the pools' headers, and stores in `cursor` where the next step
/// continues. The allocator may be used between two steps. Returns 0 if
/// something is broken or the handle or the cursor is NULL; 1 if all blocks
/// have been seen and are sound, with the cursor at the start again; 2 if
/// blocks remain. A step checks each block with its neighbours only. Steps
/// cannot detect three faults, which only mm_validate finds: wrong counters
/// (I8), free blocks listed in a ring that no bin leads to (I3), and a block in
/// use whose overwritten header covers the whole blocks after it as well. A
/// cursor from before an mm_reset, or of an earlier allocator in the same
/// memory, starts again. On 32-bit targets, whose headers have no seal, a step
/// may mistake user data for the block where the last one ended and return 0
/// for a sound heap; confirm with mm_validate. O(max_blocks times pools) in the worst case,
/// since a free list may link blocks of different pools.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_validate_step(
    allocator: *mut mm_allocator_t,
    cursor: *mut mm_cursor_t,
    max_blocks: usize,
) -> c_int {
    // SAFETY: boundary rules; the cursor is all zero or was filled by a step (documented), and has
    // the core's layout (asserted above).
    unsafe {
        match (session(allocator), cursor.cast::<Cursor>().as_mut()) {
            (Some(tlsf), Some(cursor)) => match tlsf.validate_step(cursor, max_blocks) {
                Step::Broken(_) => 0,
                Step::Sound => 1,
                Step::More => 2,
            },
            _ => 0,
        }
    }
}

/// Finds the first broken invariant. Returns its number, 1 to 8; 0 if the
/// allocator is sound or the handle is NULL. Fills `out` in every case, unless
/// that is NULL. O(blocks).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_diagnose(
    allocator: *mut mm_allocator_t,
    out: *mut mm_violation_t,
) -> c_int {
    // SAFETY: boundary rules.
    let found = unsafe { session(allocator).and_then(|tlsf| tlsf.diagnose()) };
    if !out.is_null() {
        let violation = mm_violation_t {
            invariant: number(found),
            name: found
                .map_or(c"sound", |found| found.invariant.name())
                .as_ptr(),
            address: found.map_or(ptr::null(), |found| found.address.cast()),
            pool: found
                .and_then(|found| found.pool)
                .map_or(ptr::null_mut(), |pool| pool.as_raw().cast()),
        };
        // SAFETY: not NULL (tested), so the caller's struct (documented).
        unsafe { out.write(violation) };
    }
    number(found)
}

/// Fills `out` with the allocator's figures, `size_of_out` bytes of them: pass
/// the size of your struct, so that a program built for another version keeps
/// working. Bytes that the library does not know are set to 0. Returns 1; 0,
/// with nothing written, if the handle or `out` is NULL. O(1); with a cache
/// (mm_set_cache), O(cached blocks times pools).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_stats(
    allocator: *const mm_allocator_t,
    out: *mut mm_stats_t,
    size_of_out: usize,
) -> c_int {
    // SAFETY: boundary rules.
    unsafe {
        match session(allocator) {
            Some(tlsf) => fill_stats(&tlsf.stats(), out, size_of_out),
            None => 0,
        }
    }
}

/// The library's version, MM_VERSION_STRING of its header; static storage.
/// O(1), any thread.
#[unsafe(no_mangle)]
pub extern "C" fn mm_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The first broken invariant of a pool.
///
/// # Safety
/// The pool is live.
unsafe fn diagnose_pool(pool: Pool) -> Option<Violation> {
    // SAFETY: live instance (caller).
    unsafe { checker::with_pool(pool, |pool, _| Tlsf::diagnose_pool(pool)) }
}

/// Writes as much of `stats` as the caller's struct has room for, and zeros after it.
///
/// # Safety
/// `out` is NULL or has `size_of_out` bytes.
pub(super) unsafe fn fill_stats(stats: &Stats, out: *mut mm_stats_t, size_of_out: usize) -> c_int {
    if out.is_null() {
        return 0;
    }
    let known = size_of_out.min(size_of::<Stats>());
    let out: *mut u8 = out.cast();
    // SAFETY: `out` is not NULL (tested) and has `size_of_out` bytes (caller), at least `known`.
    unsafe {
        out.copy_from_nonoverlapping(ptr::from_ref(stats).cast(), known);
        out.add(known).write_bytes(0, size_of_out - known);
    }
    1
}

/// The number of a violation's invariant; 0 for none.
fn number(violation: Option<Violation>) -> c_int {
    violation.map_or(0, |violation| violation.invariant.number().into())
}
