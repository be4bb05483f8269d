/*
 * memoman: a TLSF memory allocator in constant time, over memory that you supply.
 *
 * Conventions
 *   Sizes are in bytes. A "quantum" is mm_align_size() bytes.
 *   Handles: NULL is tolerated everywhere and gives NULL, 0 or nothing. Any other
 *     handle must be one from mm_create... that has not been destroyed.
 *   Failure: the function says when; a failing call changes nothing but the
 *     counter of failed requests.
 *   Threads: the functions on a handle do no locking: one allocator, one thread at
 *     a time; different allocators are independent. Functions named ..._global and
 *     those marked "any thread" may be called from any thread.
 *   Method: two-level segregated fit after Masmano, Ripoll, Crespo, Real: "TLSF: a
 *     new dynamic memory allocator for real-time systems", ECRTS 2004.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */


#ifndef MEMOMAN_H
#define MEMOMAN_H

/* Generated from src/ffi by cbindgen: edit there, then `make header`. */

#include <stddef.h>

#define MM_VERSION_MAJOR 0
#define MM_VERSION_MINOR 1
#define MM_VERSION_PATCH 0
#define MM_VERSION_STRING "0.1.0"
/* Compares with MM_VERSION: the parts of a version as one number. */
#define MM_MAKE_VERSION(major, minor, patch) \
    ((major) * 10000 + (minor) * 100 + (patch))
#define MM_VERSION MM_MAKE_VERSION(0, 1, 0)

/** An allocator. Lives in memory that you supply; opaque. */
typedef struct mm_allocator_t mm_allocator_t;

/** A pool: a region of memory that you gave to an allocator; opaque. */
typedef struct mm_pool_t mm_pool_t;

/** Called on misuse: a fixed message, the pointer at which it shows, your word. */
typedef void (*mm_error_handler)(const char *message, const void *ptr, void *user);

/**
 * Called for each block: payload, usable bytes, nonzero if in use, your word.
 * Must not allocate from, or free to, the allocator that is walked.
 */
typedef void (*mm_walker)(void *ptr, size_t size, int used, void *user);

/**
 * Where mm_validate_step goes on. Set it to all zero before the first step; its
 * contents are the library's.
 */
typedef struct mm_cursor_t {
    /** Private. */
    size_t state[4];
} mm_cursor_t;

/** A broken invariant, as mm_diagnose finds it. */
typedef struct mm_violation_t {
    /** Number of the invariant, 1 to 8; 0: none is broken. */
    int invariant;
    /** What is broken, in a few words; static storage, never NULL. */
    const char *name;
    /** Where it shows: a block, a bitmap word, a list head, a pool, the allocator. NULL if none is broken. */
    const void *address;
    /** The pool in which it shows; NULL if in none. */
    mm_pool_t *pool;
} mm_violation_t;

/**
 * An allocator's figures, in bytes unless the name says otherwise.
 * Always: used + free + overhead == pool_bytes.
 */
typedef struct mm_stats_t {
    /** All pools, each between its bounds rounded inward. */
    size_t pool_bytes;
    /** What live blocks take, headers included. */
    size_t used;
    /** What free blocks take, headers included. */
    size_t free;
    /** What the pools take for themselves. */
    size_t overhead;
    /** The highest `used` since creation or reset. */
    size_t peak;
    /** The greatest request that can succeed now. */
    size_t largest;
    /** Number of blocks in use. */
    size_t live_blocks;
    /** Number of requests refused for want of memory. */
    size_t failed_requests;
} mm_stats_t;

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/* ---- Sizes and limits -------------------------------------------------------- */

/**
 * Bytes of memory that mm_create needs for the control structure: about
 * 8.4 KiB on 64-bit targets. Constant. O(1), any thread.
 */
size_t mm_size(void);

/**
 * The alignment in bytes of every pointer that the allocator gives, and the
 * step of block sizes (the quantum): 16 on 64-bit targets, 8 on 32-bit ones.
 * Constant. O(1), any thread.
 */
size_t mm_align_size(void);

/**
 * The smallest usable size of a block in bytes: smaller requests get as much.
 * Constant. O(1), any thread.
 */
size_t mm_block_size_min(void);

/**
 * The greatest request in bytes that an allocator from mm_create can serve:
 * 1 TiB on 64-bit targets, 1 GiB on 32-bit ones. mm_create_for goes further.
 * Constant. O(1), any thread.
 */
size_t mm_block_size_max(void);

/**
 * Bytes of a pool that its first block cannot use: a region that is aligned to
 * mm_align_size() and has mm_pool_overhead() + n bytes, n = mm_block_size_min()
 * or a multiple of mm_align_size() more, holds exactly one block of n usable
 * bytes. Constant. O(1), any thread.
 */
size_t mm_pool_overhead(void);

/**
 * Bytes that each block takes beyond its usable ones: one word.
 * Constant. O(1), any thread.
 */
size_t mm_alloc_overhead(void);

/* ---- Lifecycle: in place, in your memory ------------------------------------- */

/**
 * Creates an allocator without pools in `mem`, which must have mm_size() bytes
 * and the alignment of a pointer, and belongs to it until mm_destroy. Returns
 * NULL if `mem` is NULL or not aligned. O(1).
 */
mm_allocator_t *mm_create(void *mem);

/**
 * Creates an allocator at the start of `mem` and makes the rest its first
 * pool. Any address and any length do: both are rounded inward. Returns NULL,
 * and writes nothing, if `mem` is NULL, if `bytes` cannot hold the control
 * structure and one smallest block, or if the region ends beyond the address
 * space. O(1).
 */
mm_allocator_t *mm_create_with_pool(void *mem, size_t bytes);

/**
 * Bytes of memory that mm_create_for needs for requests up to `max_block`
 * bytes: the smaller the greatest request, the smaller the control structure
 * (2.3 KiB for 64 KiB on 64-bit targets). Returns 0 if no allocator can serve
 * such requests (over 128 TiB; 32-bit: over 2 GiB). O(1), any thread.
 */
size_t mm_size_for(size_t max_block);

/**
 * Creates an allocator without pools, for requests up to `max_block` bytes, in
 * `mem`, which must have mm_size_for(max_block) bytes and the alignment of a
 * pointer. Its pools may be greater than `max_block`. Returns NULL if `mem` is
 * NULL or not aligned, or if mm_size_for(max_block) is 0. O(1).
 */
mm_allocator_t *mm_create_for(void *mem, size_t max_block);

/**
 * Ends the allocator. It frees nothing, since you own all memory, and forgets
 * everything: pools and blocks are memory of yours again. O(1).
 */
void mm_destroy(mm_allocator_t *allocator);

/**
 * Gives all blocks up at once: every pool is one free block again, and the
 * counters start anew. Returns 1; 0, and changes nothing, if the list of pools
 * has been overwritten or the handle is NULL. O(pools).
 */
int mm_reset(mm_allocator_t *allocator);

/**
 * Sets what is called on misuse of this allocator (double free, a pointer that
 * is no live block, an overwritten header or link); `user` is handed to it.
 * NULL: back to the default, which prints one line on stderr and aborts, or
 * traps where there is no operating system. If the handler returns, the call
 * that found the misuse has no effect and gives NULL or nothing. O(1).
 */
void mm_set_error_handler(mm_allocator_t *allocator, mm_error_handler handler, void *user);

/* ---- Pools ------------------------------------------------------------------- */

/**
 * Gives a region to the allocator. Any address and any length do: both are
 * rounded inward. Returns the pool, or NULL, with nothing changed, if what is
 * left cannot hold one smallest block, if the region overlaps a pool or the
 * control structure, or if it ends beyond the address space. The region belongs
 * to the allocator until mm_remove_pool or mm_destroy. O(pools), for the
 * overlap check.
 */
mm_pool_t *mm_add_pool(mm_allocator_t *allocator, void *mem, size_t bytes);

/**
 * Joins `more_bytes` bytes that lie right behind the pool's region to it.
 * Returns 1; 0, with nothing changed, if they add no whole quantum, or less
 * than a smallest block behind a block in use, if they overlap the next pool or
 * the control structure, or end beyond the address space. O(1).
 */
int mm_extend_pool(mm_allocator_t *allocator, mm_pool_t *pool, size_t more_bytes);

/**
 * Takes a pool back: its region is yours again. `mem_or_pool` is the pool, or
 * the address that it was added with. Returns 1; 0, with nothing changed, while
 * a block of it is in use, or if it is no pool of this allocator. O(1).
 */
int mm_remove_pool(mm_allocator_t *allocator, void *mem_or_pool);

/** The allocator's first pool, by address; NULL if it has none. O(1). */
mm_pool_t *mm_get_pool(mm_allocator_t *allocator);

/** The pool behind `pool`, by address; NULL if it is the last one. O(1). */
mm_pool_t *mm_next_pool(mm_allocator_t *allocator, mm_pool_t *pool);

/**
 * The pool that `ptr` points into, anywhere; NULL if it points into none.
 * `ptr` itself is not read. O(pools).
 */
mm_pool_t *mm_get_pool_for_ptr(mm_allocator_t *allocator, const void *ptr);

/* ---- Allocation -------------------------------------------------------------- */

/**
 * Allocates at least `bytes` bytes, aligned to mm_align_size(). Returns NULL if
 * `bytes` is 0 or no free block is large enough. O(1).
 */
void *mm_malloc(mm_allocator_t *allocator, size_t bytes);

/**
 * Allocates `count` objects of `size` bytes, all bytes zero. Returns NULL if
 * either is 0, if their product is beyond SIZE_MAX, or if no free block is
 * large enough. O(1), and the clearing.
 */
void *mm_calloc(mm_allocator_t *allocator, size_t count, size_t size);

/**
 * Allocates at least `bytes` bytes, aligned to `align`, a power of two. Returns
 * NULL if `align` is 0 or no power of two, if `bytes` is 0, or if no free block
 * is large enough for the bytes and the worst gap in front of them. O(1).
 */
void *mm_memalign(mm_allocator_t *allocator, size_t align, size_t bytes);

/**
 * Resizes a block to at least `bytes` bytes and keeps its contents up to the
 * smaller size: in place forward, then backward, then by moving. `ptr` NULL:
 * as mm_malloc. `bytes` 0: frees the block and returns NULL. Returns NULL, and
 * leaves the block as it was, if there is no room; up to mm_block_size(ptr) there
 * is. An alignment beyond mm_align_size() is lost when the block moves: see
 * mm_realloc_aligned. O(1), and the copying.
 */
void *mm_realloc(mm_allocator_t *allocator, void *ptr, size_t bytes);

/**
 * As mm_realloc, with a result that is aligned to `align`, a power of two,
 * whether the block moves or not. `ptr` NULL: as mm_memalign. Returns NULL, and
 * leaves the block as it was, if `align` is 0 or no power of two. O(1), and the
 * copying.
 */
void *mm_realloc_aligned(mm_allocator_t *allocator, void *ptr, size_t align, size_t bytes);

/**
 * Frees a block and joins it with its free neighbours at once. `ptr` NULL:
 * nothing. Misuse that the headers show goes to the error handler. O(1).
 */
void mm_free(mm_allocator_t *allocator, void *ptr);

/**
 * The usable bytes of a block in use: at least what was asked for, and all of
 * them may be written. 0 for NULL, and where the header shows that no block is in
 * use. O(1).
 */
size_t mm_block_size(const void *ptr);

/* ---- Inspection -------------------------------------------------------------- */

/**
 * Calls `walker` for each block of the pool, in address order. Ends early at an
 * overwritten header. A NULL walker: nothing. O(blocks of the pool).
 */
void mm_walk_pool(mm_pool_t *pool, mm_walker walker, void *user);

/**
 * Proves every invariant of the allocator. Returns nonzero if it is sound, 0 if
 * not: mm_diagnose says what is broken. Changes nothing, reads nothing outside
 * the pools and the control structure, and ends, whatever has been overwritten.
 * O(blocks).
 */
int mm_validate(mm_allocator_t *allocator);

/**
 * As mm_validate, for the blocks of one pool and their links.
 * O(blocks of the pool), times the number of pools where lists cross them.
 */
int mm_validate_pool(mm_pool_t *pool);

/**
 * As mm_validate, with the sense of TLSF 3.1: returns 0 if the allocator is
 * sound, else minus the number of the first broken invariant. O(blocks).
 */
int mm_check(mm_allocator_t *allocator);

/**
 * As mm_validate_pool, with the sense of TLSF 3.1: returns 0 if the pool is
 * sound, else minus the number of the first broken invariant.
 */
int mm_check_pool(mm_pool_t *pool);

/**
 * Validates up to `max_blocks` blocks (at least one), the control structure and
 * the pools' headers, and remembers in `cursor` where to go on. The allocator
 * may be used between two steps. Returns 0 if something is broken, 1 if all
 * blocks have been seen and are sound (the cursor is at the start again), 2 if
 * there is more to see; 0 if the handle or the cursor is NULL. A step looks at
 * a block and its neighbours. What needs the whole heap at once, in a heap that
 * may have changed since the last step, only mm_validate sees: counters that
 * are wrong (I8), free blocks listed in a ring that no bin leads to (I3), and
 * the header of a block in use that has grown over whole blocks behind it. On
 * 32-bit targets, whose headers have no seal, what was there before an mm_reset
 * may be taken for a block later: then mm_validate tells whether 0 is true.
 * O(max_blocks), times the number of pools where lists cross them.
 */
int mm_validate_step(mm_allocator_t *allocator, mm_cursor_t *cursor, size_t max_blocks);

/**
 * Finds the first broken invariant. Returns its number, 1 to 8, and fills `out`
 * (which may be NULL); 0 if the allocator is sound or the handle is NULL.
 * O(blocks).
 */
int mm_diagnose(mm_allocator_t *allocator, mm_violation_t *out);

/**
 * Fills `out` with the allocator's figures: as many bytes as your struct has,
 * given by `size_of_out`, so that a program built for another version keeps
 * working; what the library does not know is set to 0. Returns 1; 0, with
 * nothing written, if the handle or `out` is NULL. O(1).
 */
int mm_stats(const mm_allocator_t *allocator, mm_stats_t *out, size_t size_of_out);

/* ---- Version ----------------------------------------------------------------- */

/** The library's version as in MM_VERSION_STRING; static storage. O(1), any thread. */
const char *mm_version(void);

/* ---- Global wrapper: hosted targets only ------------------------------------- */

/**
 * The process-wide allocator that the _global functions use, created on first
 * use; its pools come from the operating system. Each thread that calls a
 * _global function gets a heap of its own for requests up to 32 KiB, over
 * memory that this allocator lends it. Use the handle for
 * mm_set_error_handler, which is told of misuse in any of them, or when no
 * other thread runs: only the _global functions lock. A block of theirs goes
 * back by mm_free_global. NULL if the system gives no memory. Thread-safe.
 */
mm_allocator_t *mm_default(void);

/**
 * malloc from the calling thread's heap or the process-wide allocator. `bytes`
 * 0 gives a unique pointer. Returns NULL and sets errno to ENOMEM if there is
 * no memory. Thread-safe, fork-safe. O(1), apart from growing; without a lock
 * as long as the thread's heap can serve it.
 */
void *mm_malloc_global(size_t bytes);

/**
 * calloc from the process-wide allocator. Returns NULL and sets errno to ENOMEM
 * if the product is beyond SIZE_MAX or there is no memory. Thread-safe.
 */
void *mm_calloc_global(size_t count, size_t size);

/**
 * realloc in the process-wide allocator. `ptr` NULL: as mm_malloc_global.
 * `bytes` 0: frees the block and returns NULL. Returns NULL, sets errno to
 * ENOMEM and leaves the block as it was if there is no memory. Thread-safe.
 */
void *mm_realloc_global(void *ptr, size_t bytes);

/**
 * Aligned allocation from the process-wide allocator. Returns NULL and sets
 * errno to EINVAL if `align` is 0 or no power of two, to ENOMEM if there is no
 * memory. Thread-safe.
 */
void *mm_memalign_global(size_t align, size_t bytes);

/**
 * free of a block of the _global functions, whichever thread has allocated it.
 * NULL: nothing. Keeps errno. Misuse goes to the error handler of mm_default(),
 * without a lock. A block of another thread's heap is tested as far as that is
 * possible beside its owner, and wholly when the owner takes it back.
 * Thread-safe. O(1); without a lock for blocks of threads' heaps, apart from
 * memory that goes back.
 */
void mm_free_global(void *ptr);

/**
 * mm_validate for the process-wide allocator and every thread's heap; all other
 * threads wait at their next call meanwhile. Thread-safe.
 */
int mm_validate_global(void);

/**
 * mm_stats for the process-wide allocator and every thread's heap together; all
 * other threads wait at their next call meanwhile. `peak` is the sum of the
 * heaps' own peaks: never below the true one. `largest` is what the calling
 * thread can have. O(threads), and what waits to be taken back. Thread-safe.
 */
int mm_stats_global(mm_stats_t *out, size_t size_of_out);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

#endif  /* MEMOMAN_H */
