/*
 * memoman: a TLSF memory allocator in constant time, over memory that you supply.
 *
 * Conventions
 *   Sizes are in bytes. A "quantum" is mm_align_size() bytes.
 *   Handles: a NULL handle is accepted everywhere: the function returns NULL or 0,
 *     or does nothing. Any other handle must be one from mm_create... that has not
 *     been destroyed.
 *   Failure: each function lists its failure cases; a failing call changes nothing
 *     but the counter of failed requests.
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

/**
 * The number of sizes in mm_measure_t: every block is smaller than 2 to this
 * power.
 */
#define MM_POWERS 48

/** The number of gaps in mm_measure_t. */
#define MM_GAPS 8

/**
 * Kinds of mm_event_t: the calls for blocks, which include mm_realloc of NULL
 * (malloc) and to 0 bytes (free).
 */
#define MM_EVENT_MALLOC 1

/** mm_calloc. */
#define MM_EVENT_CALLOC 2

/** mm_memalign. */
#define MM_EVENT_MEMALIGN 3

/** mm_realloc or mm_realloc_aligned, in place or not. */
#define MM_EVENT_REALLOC 4

/** mm_free. */
#define MM_EVENT_FREE 5

/** A request found no memory. */
#define MM_EVENT_FAILED 6

/** mm_add_pool. */
#define MM_EVENT_POOL_ADDED 7

/** mm_extend_pool. */
#define MM_EVENT_POOL_EXTENDED 8

/** mm_remove_pool: the memory is yours again. */
#define MM_EVENT_POOL_REMOVED 9

/** mm_reset. */
#define MM_EVENT_RESET 10

/** For mm_dump: a drawing and tables, for people. */
#define MM_DUMP_TEXT 0

/** For mm_dump: JSON lines, documented in the page "The dump format". */
#define MM_DUMP_JSON 1

/** An allocator, in memory that you supply; opaque. */
typedef struct mm_allocator_t mm_allocator_t;

/** A pool: a region of memory that you gave to an allocator; opaque. */
typedef struct mm_pool_t mm_pool_t;

/**
 * Called on misuse: a fixed message, the address of the fault, and the `user`
 * pointer given to mm_set_error_handler.
 */
typedef void (*mm_error_handler)(const char *message, const void *ptr, void *user);

/**
 * Called for each block: its payload, its usable bytes, nonzero if it is in
 * use, and the `user` pointer given to mm_walk_pool. Must not allocate from,
 * or free to, the allocator that is walked.
 */
typedef void (*mm_walker)(void *ptr, size_t size, int used, void *user);

/**
 * Where mm_validate_step continues. Set it to all zero before the first step;
 * its contents belong to the library.
 */
typedef struct mm_cursor_t {
    /** Private. */
    size_t state[4];
} mm_cursor_t;

/** A broken invariant that mm_diagnose found. */
typedef struct mm_violation_t {
    /** Number of the invariant, 1 to 8; 0 if none is broken. */
    int invariant;
    /** What is broken, in a few words; static storage, never NULL. */
    const char *name;
    /**
     * The address of the fault: a block, a bitmap word, a list head, a pool or
     * the allocator; NULL if none is broken.
     */
    const void *address;
    /** The pool that contains the fault; NULL if none does. */
    mm_pool_t *pool;
} mm_violation_t;

/**
 * An allocator's figures, in bytes except the two counts that are named so.
 * Always used + free + overhead == pool_bytes.
 */
typedef struct mm_stats_t {
    /** All pools, each with its bounds rounded inward to the quantum. */
    size_t pool_bytes;
    /** Blocks in use, headers included. */
    size_t used;
    /** Free blocks, headers included. */
    size_t free;
    /** The pools' own headers and sentinels. */
    size_t overhead;
    /** The highest `used` since creation or reset. */
    size_t peak;
    /** The largest request that would succeed. */
    size_t largest;
    /** Number of blocks in use. */
    size_t live_blocks;
    /** Number of requests refused for lack of memory. */
    size_t failed_requests;
    /**
     * Bytes of `used` that are cached blocks (mm_set_cache), headers included;
     * `peak` and `live_blocks` count them, too.
     */
    size_t cached;
} mm_stats_t;

/**
 * Figures of a walk over all blocks, from mm_measure. Sizes are in bytes and
 * include the block's header, mm_alloc_overhead() bytes.
 */
typedef struct mm_measure_t {
    /** Number of free blocks. */
    size_t free_blocks;
    /** Number of blocks in use. */
    size_t live_blocks;
    /** Bytes of all free blocks. */
    size_t free_bytes;
    /** Bytes of all blocks in use. */
    size_t live_bytes;
    /**
     * External fragmentation in millionths: 1 minus the sum of the squares of
     * the free blocks' sizes over the square of their sum. 0 for one free
     * block or none, 500000 for two of one size.
     */
    size_t fragmentation;
    /** The largest free blocks, the largest first; 0 where there are fewer. */
    size_t gaps[MM_GAPS];
    /**
     * Entry n: number of free blocks of 2^n bytes or more, but less than
     * 2^(n+1).
     */
    size_t free_by_power[MM_POWERS];
    /** The same for blocks in use. */
    size_t live_by_power[MM_POWERS];
} mm_measure_t;

/**
 * Called by mm_dump with the next `bytes` bytes of the dump, at most 96, and
 * the `user` pointer given to it; `text` has no final zero. Returns nonzero to
 * continue, 0 to stop. May read the allocator, but not change it.
 */
typedef int (*mm_writer)(const char *text, size_t bytes, void *user);

/** What a call on an allocator has done, for an observer. */
typedef struct mm_event_t {
    /** The allocator. */
    mm_allocator_t *allocator;
    /** One of MM_EVENT_MALLOC to MM_EVENT_RESET. Later versions may add kinds. */
    int kind;
    /**
     * The new block, the freed block, or the pool; NULL for a failed request
     * and a reset.
     */
    void *ptr;
    /** The block before a realloc, a failed one included; else NULL. */
    void *old_ptr;
    /**
     * Requested bytes; of a pool, its bytes, between its rounded bounds; of a
     * freed block, 0.
     */
    size_t bytes;
    /** Usable bytes of the block, for a freed one before; 0 without a block. */
    size_t block_bytes;
    /** The requested alignment; 0 for a function without one. */
    size_t align;
} mm_event_t;

/**
 * Called by an allocator after a call that has changed it: the event, which is
 * valid during the call, and the `user` pointer given to mm_set_observer. It
 * must return: after a longjmp or a C++ exception out of it, the allocator
 * reports each further call as one from a callback.
 */
typedef void (*mm_observer)(const mm_event_t *event, void *user);

/**
 * Called by an allocator when a request finds no memory: the allocator, the
 * requested bytes and alignment (0 for a function without one), its figures,
 * and the `user` pointer given to mm_set_exhausted_handler. Returns nonzero to
 * have the request tried once more. Like an observer, it must return.
 */
typedef int (*mm_exhausted_handler)(mm_allocator_t *allocator, size_t bytes,
                                    size_t align, const mm_stats_t *stats, void *user);

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/* ---- Sizes and limits -------------------------------------------------------- */

/**
 * The size in bytes of the control structure for mm_create: about 8.4 KiB on
 * 64-bit targets. Constant. O(1), any thread.
 */
size_t mm_size(void);

/**
 * The quantum in bytes: the alignment of every pointer that the allocator
 * returns and the step of block sizes, 16 on 64-bit targets, 8 on 32-bit ones.
 * Constant. O(1), any thread.
 */
size_t mm_align_size(void);

/**
 * The smallest usable size of a block in bytes; smaller requests are rounded
 * up to it. Constant. O(1), any thread.
 */
size_t mm_block_size_min(void);

/**
 * The largest request in bytes of an allocator from mm_create: 1 TiB on 64-bit
 * targets, 1 GiB on 32-bit ones. The other creating functions set other limits.
 * Constant. O(1), any thread.
 */
size_t mm_block_size_max(void);

/**
 * The overhead in bytes of a pool that holds one block. A region that is
 * aligned to mm_align_size() and has mm_pool_overhead() + n bytes holds exactly
 * one block of n usable bytes; n is mm_block_size_min() plus a multiple of
 * mm_align_size(). Constant. O(1), any thread.
 */
size_t mm_pool_overhead(void);

/**
 * Bytes of a block beyond its usable ones: its header, one word. Constant.
 * O(1), any thread.
 */
size_t mm_alloc_overhead(void);

/* ---- Lifecycle: in place, in your memory ------------------------------------- */

/**
 * Creates an allocator without pools in `mem`, which must have mm_size() bytes
 * and the alignment of a pointer, and which belongs to the allocator until
 * mm_destroy. Returns NULL if `mem` is NULL or not aligned, or if mm_size()
 * bytes from there end beyond the address space; then nothing is written. O(1).
 */
mm_allocator_t *mm_create(void *mem);

/**
 * Creates an allocator at the start of `mem` and makes the rest of the `bytes`
 * bytes its first pool. Address and length are rounded inward. The control
 * structure is sized to the region: the largest request is the block that
 * fills it. Pools that are added or extended later may be larger and are used
 * whole, but by requests up to that limit; an allocator
 * that starts small and grows is created by mm_create_for_with_pool. The region
 * belongs to the allocator until mm_destroy. Returns NULL, and writes nothing,
 * if `mem` is NULL, if `bytes` cannot hold the control structure and a pool
 * with one smallest block, if they are too many for a pool (2^48), or if the
 * region ends beyond the address space. O(1).
 */
mm_allocator_t *mm_create_with_pool(void *mem, size_t bytes);

/**
 * The size in bytes of the control structure for requests up to `max_block`
 * bytes, which mm_create_for needs. It shrinks with `max_block`: 2.4 KiB for
 * 64 KiB on 64-bit targets. Returns 0 if `max_block` is beyond any allocator:
 * over 128 TiB on 64-bit targets, over 2 GiB on 32-bit ones. O(1), any thread.
 */
size_t mm_size_for(size_t max_block);

/**
 * Creates an allocator without pools, for requests up to `max_block` bytes, in
 * `mem`, which must have mm_size_for(max_block) bytes and the alignment of a
 * pointer, and which belongs to the allocator until mm_destroy. Its pools may
 * be larger than `max_block`. Returns NULL if `mem` is NULL or not aligned, if
 * mm_size_for(max_block) is 0, or if that many bytes from `mem` end beyond the
 * address space. O(1).
 */
mm_allocator_t *mm_create_for(void *mem, size_t max_block);

/**
 * mm_create_for with a seed, from which the allocator's seal follows, so that a
 * run can be repeated exactly. (The other creating functions take the time
 * counter of the processor, so that pointers and headers which an earlier
 * allocator left in the same memory are not those of the new one. This one does
 * not read it.) Allocators that follow each other in the same memory need
 * successive seeds, of which each mm_reset takes one: after n resets the next
 * allocator has the seed n + 1 higher. O(1).
 */
mm_allocator_t *mm_create_seeded(void *mem, size_t max_block, size_t seed);

/**
 * mm_create_with_pool for requests up to `max_block` bytes: more than the
 * region holds, for pools that are added or extended later
 * (mm_block_size_max() as in mm_create); less, for a smaller control structure,
 * mm_size_for(max_block) bytes. Returns NULL also if that is 0. O(1).
 */
mm_allocator_t *mm_create_for_with_pool(void *mem, size_t bytes, size_t max_block);

/**
 * Destroys the allocator. Nothing is freed, because you own all the memory; the
 * regions of the control structure and the pools are yours again. O(1).
 */
void mm_destroy(mm_allocator_t *allocator);

/**
 * Frees all blocks at once: every pool becomes one free block, and the
 * counters restart at 0. A pointer from before is misuse; its header may pass
 * for that of a block again after 32,768 resets, or a multiple, and on 32-bit
 * targets, whose headers have no seal, at once. Returns 1; 0, with nothing
 * changed, if the list of pools has been overwritten or the handle is NULL.
 * O(pools).
 */
int mm_reset(mm_allocator_t *allocator);

/**
 * Sets the function that is called on misuse of this allocator (double free, a
 * pointer that is no live block, an overwritten header or link); `user` is
 * passed to it. NULL restores the default, which prints one line on stderr and
 * aborts, or traps where there is no operating system. If the handler returns,
 * the call that found the misuse has no effect and returns NULL or nothing.
 * O(1).
 */
void mm_set_error_handler(mm_allocator_t *allocator, mm_error_handler handler, void *user);

/* ---- Pools ------------------------------------------------------------------- */

/**
 * Adds the region of `bytes` bytes at `mem` to the allocator as a pool.
 * Address and length are rounded inward to the quantum. The region belongs to
 * the allocator until mm_remove_pool or mm_destroy. Returns the pool; NULL,
 * with nothing changed, if `mem` is NULL, if the rounded region cannot hold
 * one smallest block or has 256 TiB or more, if the region overlaps a pool or
 * the control structure or ends beyond the address space, or if the call finds
 * an overwritten header. O(pools), for the overlap check.
 */
mm_pool_t *mm_add_pool(mm_allocator_t *allocator, void *mem, size_t bytes);

/**
 * Extends a pool by the `more_bytes` bytes directly after its region. Returns
 * 1; returns 0 and changes nothing if they complete no further quantum; if the
 * pool ends with a block in use and they complete less than a smallest block
 * with its header; if they overlap the next pool or the control structure or
 * end beyond the address space; if the pool would have 256 TiB or more; if
 * `pool` is NULL or not a pool of this allocator; or if the call finds an
 * overwritten header. O(1).
 */
int mm_extend_pool(mm_allocator_t *allocator, mm_pool_t *pool, size_t more_bytes);

/**
 * Removes a pool: its region is yours again. `mem_or_pool` is the pool or the
 * address that it was added with. Returns 1; 0, with nothing changed, while a
 * block of the pool is in use, if it is no pool of this allocator, or if the
 * call finds an overwritten header or link. O(1); with a cache (mm_set_cache),
 * whose blocks are freed first, also if 0 is returned, O(cached blocks).
 */
int mm_remove_pool(mm_allocator_t *allocator, void *mem_or_pool);

/** The allocator's pool with the lowest address; NULL if it has none. O(1). */
mm_pool_t *mm_get_pool(mm_allocator_t *allocator);

/**
 * The pool after `pool` in address order; NULL if `pool` is NULL, the last one
 * or not this allocator's. O(1).
 */
mm_pool_t *mm_next_pool(mm_allocator_t *allocator, mm_pool_t *pool);

/**
 * The pool that `ptr` points into, its headers included; NULL if it points
 * into none. The memory at `ptr` is not read. O(pools).
 */
mm_pool_t *mm_get_pool_for_ptr(mm_allocator_t *allocator, const void *ptr);

/* ---- Allocation -------------------------------------------------------------- */

/**
 * Allocates at least `bytes` bytes, aligned to mm_align_size(). Returns NULL
 * if `bytes` is 0 or beyond the allocator's largest request, or if no free
 * block is large enough. O(1).
 */
void *mm_malloc(mm_allocator_t *allocator, size_t bytes);

/**
 * Allocates `count` objects of `size` bytes, all bytes zero. Returns NULL if
 * either is 0, if their product is beyond SIZE_MAX or the allocator's largest
 * request, or if no free block is large enough. O(1), apart from clearing.
 */
void *mm_calloc(mm_allocator_t *allocator, size_t count, size_t size);

/**
 * Allocates at least `bytes` bytes, aligned to `align`, a power of two.
 * Returns NULL if `align` is 0 or no power of two, if `bytes` is 0 or beyond
 * the allocator's largest request, or if no free block is large enough for the
 * bytes and the largest possible gap before them. If bytes and gap together
 * exceed the allocator's largest request, the search reads two blocks only: the
 * first of the list of the largest blocks, and the one that ends the highest
 * pool. It may then refuse although another block of that list is large enough.
 * O(1).
 */
void *mm_memalign(mm_allocator_t *allocator, size_t align, size_t bytes);

/**
 * Resizes a block to at least `bytes` bytes and keeps its contents up to the
 * smaller size: in place forward, then backward, then by moving. With `ptr`
 * NULL it is mm_malloc; with `bytes` 0 it frees the block and returns NULL.
 * Returns NULL, and leaves the block as it was, if it can neither grow in
 * place nor move, or if `bytes` is beyond the allocator's largest request; up
 * to mm_block_size(ptr) bytes always fit. An alignment beyond mm_align_size()
 * is lost when the block moves: see mm_realloc_aligned. O(1), apart from
 * copying.
 */
void *mm_realloc(mm_allocator_t *allocator, void *ptr, size_t bytes);

/**
 * mm_realloc with a result that is aligned to `align`, a power of two, whether
 * the block moves or not. With `ptr` NULL it is mm_memalign; with `bytes` 0 it
 * frees the block and returns NULL. Returns NULL, and leaves the block as it
 * was, if `align` is 0 or no power of two, if the block can neither stay in
 * place nor move, or if `bytes` is beyond both mm_block_size(ptr) and the
 * allocator's largest request. O(1), apart from copying.
 */
void *mm_realloc_aligned(mm_allocator_t *allocator, void *ptr, size_t align, size_t bytes);

/**
 * Frees a block and merges it with its free neighbours at once. With `ptr`
 * NULL it does nothing. Misuse that the header checks detect is reported to the
 * error handler. For that, memory between the lowest and the highest pool must
 * be readable: a wrong pointer into an unmapped gap between two pools faults,
 * here and in mm_realloc and mm_remove_pool. O(1).
 */
void mm_free(mm_allocator_t *allocator, void *ptr);

/**
 * The usable bytes of a block in use: at least the bytes requested, and all of
 * them may be written. Returns 0 if `ptr` is NULL or its header is not that of
 * a block in use. Without the allocator it cannot tell a block from the header
 * that one of an earlier allocator left in the same memory. O(1).
 */
size_t mm_block_size(const void *ptr);

/* ---- Inspection -------------------------------------------------------------- */

/**
 * Calls `walker` for each block of the pool, in address order. It stops at an
 * overwritten header. With `pool` or `walker` NULL it does nothing.
 * O(blocks of the pool).
 */
void mm_walk_pool(mm_pool_t *pool, mm_walker walker, void *user);

/**
 * Checks every invariant of the allocator. Returns nonzero if it is sound; 0 if
 * not, or if the handle is NULL. mm_diagnose returns what is broken. Changes
 * nothing, reads nothing outside the pools, the control structure and the
 * cache's table, and always terminates, however damaged the heap is. O(blocks);
 * with a cache (mm_set_cache), O(blocks + cached blocks times pools).
 */
int mm_validate(mm_allocator_t *allocator);

/**
 * mm_validate for the blocks of one pool and their links: returns nonzero if
 * they are sound; 0 if not, or if `pool` is NULL. O(blocks in the pool times
 * pools) in the worst case, since a free list may link blocks of different
 * pools.
 */
int mm_validate_pool(mm_pool_t *pool);

/**
 * mm_validate with the result of TLSF 3.1: 0 if the allocator is sound or the
 * handle is NULL, else minus the number of the first broken invariant.
 * O(blocks).
 */
int mm_check(mm_allocator_t *allocator);

/**
 * mm_validate_pool with the result of TLSF 3.1: 0 if the pool is sound or
 * `pool` is NULL, else minus the number of the first broken invariant.
 * O(blocks in the pool times pools) in the worst case, since a free list may
 * link blocks of different pools.
 */
int mm_check_pool(mm_pool_t *pool);

/**
 * Validates up to `max_blocks` blocks (at least one), the control structure
 * and the pools' headers, and stores in `cursor` where the next step
 * continues. The allocator may be used between two steps. Returns 0 if
 * something is broken or the handle or the cursor is NULL; 1 if all blocks
 * have been seen and are sound, with the cursor at the start again; 2 if
 * blocks remain. A step checks each block with its neighbours only. Steps
 * cannot detect three faults, which only mm_validate finds: wrong counters
 * (I8), free blocks listed in a ring that no bin leads to (I3), and a block in
 * use whose overwritten header covers the whole blocks after it as well. A
 * cursor from before an mm_reset, or of an earlier allocator in the same
 * memory, starts again. On 32-bit targets, whose headers have no seal, a step
 * may mistake user data for the block where the last one ended and return 0
 * for a sound heap; confirm with mm_validate. O(max_blocks times pools) in the worst case,
 * since a free list may link blocks of different pools.
 */
int mm_validate_step(mm_allocator_t *allocator, mm_cursor_t *cursor, size_t max_blocks);

/**
 * Finds the first broken invariant. Returns its number, 1 to 8; 0 if the
 * allocator is sound or the handle is NULL. Fills `out` in every case, unless
 * that is NULL. O(blocks).
 */
int mm_diagnose(mm_allocator_t *allocator, mm_violation_t *out);

/**
 * Fills `out` with the allocator's figures, `size_of_out` bytes of them: pass
 * the size of your struct, so that a program built for another version keeps
 * working. Bytes that the library does not know are set to 0. Returns 1; 0,
 * with nothing written, if the handle or `out` is NULL. O(1); with a cache
 * (mm_set_cache), O(cached blocks times pools).
 */
int mm_stats(const mm_allocator_t *allocator, mm_stats_t *out, size_t size_of_out);

/* ---- Version ----------------------------------------------------------------- */

/**
 * The library's version, MM_VERSION_STRING of its header; static storage.
 * O(1), any thread.
 */
const char *mm_version(void);

/* ---- Measure and dump -------------------------------------------------------- */

/**
 * Walks over all blocks and fills `out` with what mm_stats cannot know: numbers
 * of blocks by size, the largest gaps, external fragmentation. Returns 1; 0,
 * with nothing written, if the handle or `out` is NULL or the walk finds an
 * overwritten header. Allocates nothing. Under the debug library sizes include
 * what it keeps around a block, and a block in quarantine counts as free.
 * O(blocks).
 */
int mm_measure(mm_allocator_t *allocator, mm_measure_t *out);

/**
 * Writes the whole heap, its pools, blocks, free lists and counters, in
 * `format`, MM_DUMP_TEXT or MM_DUMP_JSON, through `write`, to which `user` is
 * passed. Allocates nothing and changes nothing. On a damaged heap it says what
 * is broken and where, and writes the parts that can still be reached. Returns
 * 1 if the whole heap was written and no damage was found; 0 if not, if `write`
 * stopped it, or, with nothing written, if the handle or `write` is NULL or the
 * format is unknown. O(blocks times pools) in the worst case, since a free list
 * may link blocks of different pools.
 */
int mm_dump(mm_allocator_t *allocator, mm_writer write, void *user, int format);

/* ---- Observers --------------------------------------------------------------- */

/**
 * Sets the function that is called after each call that has changed the
 * allocator, and after each request that found no memory; `user` is passed to
 * it. NULL removes it. The observer must not change the allocator: such a call
 * is reported to the error handler and has no effect. It may read it, with
 * mm_stats, mm_measure, mm_dump, mm_walk_pool and the functions that validate.
 * While it is set, calls take longer, in constant time; without one they take
 * what they take without this function. Returns 1; 0, with nothing changed, if
 * the handle is NULL or that of mm_default(), in the small library, and when
 * called from an observer or handler of the same allocator. O(1); with a cache
 * (mm_set_cache), which an observer ends, O(cached blocks), and 0, with the
 * cache kept, if damage of it is found, which is reported to the error handler.
 */
int mm_set_observer(mm_allocator_t *allocator, mm_observer observer, void *user);

/**
 * Sets the function that is called when a request finds no memory, before it
 * is refused; `user` is passed to it. NULL removes it. The handler may add or
 * extend a pool, or free blocks of the allocator, but not the block that a
 * realloc is about; it returns nonzero to have the request tried once more. Any
 * other call that changes the allocator is reported to the error handler and
 * has no effect. A request that is served in the end is not counted in
 * `failed_requests`. While a handler is set, calls take longer, in constant
 * time. Returns 1; 0, with nothing changed, if the handle is NULL or that of
 * mm_default(), in the small library, and when called from an observer or
 * handler of the same allocator. O(1).
 */
int mm_set_exhausted_handler(mm_allocator_t *allocator, mm_exhausted_handler handler, void *user);

/* ---- Cache ------------------------------------------------------------------- */

/**
 * Puts a cache in front of the allocator: mm_free keeps up to `blocks` blocks
 * of each size, 1 to 15, and requests of these sizes take them first, without
 * a search, a split or a merge. The `bytes` bytes at `mem` hold the cache's
 * table, one word for a size, and belong to the allocator until mm_destroy or
 * until another cache is set; no pool, added later or extended, may cover
 * them. 592 bytes reach to requests of 1,000 bytes, 1,120 to 4 KiB, 2,144 to
 * 64 KiB, with `mem` aligned to mm_align_size(). With `mem` NULL the allocator
 * has no cache. The blocks of the cache before are freed.
 *
 * Cached blocks count as in use in mm_stats; its `cached` has their bytes. A
 * request that finds no memory frees cached blocks, size by size, until it
 * does: the longest call frees `blocks` blocks of each size. `largest` does
 * not foresee that: a greater request may succeed. A request beyond the
 * allocator's largest block frees none, unless mm_set_exhausted_handler has
 * set a handler. mm_remove_pool frees them, too, and so does mm_set_observer,
 * since an observer, which sees each call, ends the cache; mm_reset forgets
 * them. mm_walk_pool and mm_measure take them for free blocks. mm_realloc
 * moves a block that grows to one of these sizes. A block freed twice, or
 * written to after it was freed, is found as without a cache; mm_validate,
 * mm_check, mm_diagnose and mm_dump find damage of the cache,
 * mm_validate_pool, mm_check_pool and mm_validate_step do not look at it. A
 * program under a memory checker and the debug library cache nothing.
 *
 * Returns 1; 0, with nothing changed, if the handle is NULL or that of
 * mm_default(), if the memory is too small for a size or overlaps a pool or
 * the control structure, if `blocks` is 0 or above 15, while an observer is
 * set, on 32-bit targets, in the small library, and when called from an
 * observer or handler of the same allocator. Also 0 if a block of the cache
 * before or its table has been overwritten: that is reported to the error
 * handler, cached blocks may have been freed before it was found, and the
 * cache before stays. O(pools + cached blocks + table).
 */
int mm_set_cache(mm_allocator_t *allocator, void *mem, size_t bytes, size_t blocks);

/* ---- Global wrapper: hosted targets only ------------------------------------- */

/**
 * The process-wide allocator of the _global functions, created on first use;
 * its pools come from the operating system. Each thread that calls a _global
 * function gets a heap of its own for requests up to 256 KiB, in memory of this
 * allocator; a larger block is a mapping of its own. Pass the handle to
 * mm_set_error_handler, which sets the handler for every thread's heap. Use it
 * with any other function only while no other thread runs: the functions on a
 * handle do not lock. Blocks of the _global functions are freed by
 * mm_free_global. Returns NULL if the system has no memory. Thread-safe.
 */
mm_allocator_t *mm_default(void);

/**
 * malloc from the calling thread's heap or the process-wide allocator. With
 * `bytes` 0 it returns a unique pointer. Returns NULL and sets errno to ENOMEM
 * if there is no memory. Thread-safe, fork-safe. O(1), apart from growing;
 * without a lock as long as the thread's heap has a block for the request.
 */
void *mm_malloc_global(size_t bytes);

/**
 * calloc, all bytes zero, from the same heaps as mm_malloc_global. Returns
 * NULL and sets errno to ENOMEM if the product is beyond SIZE_MAX or there is
 * no memory. Thread-safe. O(1), apart from growing and clearing.
 */
void *mm_calloc_global(size_t count, size_t size);

/**
 * realloc of a block of the _global functions. With `ptr` NULL it is
 * mm_malloc_global; with `bytes` 0 it frees the block and returns NULL.
 * Returns NULL, sets errno to ENOMEM and leaves the block as it was if there
 * is no memory. Thread-safe. O(1), apart from growing, copying and memory that
 * returns to the system.
 */
void *mm_realloc_global(void *ptr, size_t bytes);

/**
 * Aligned allocation from the same heaps as mm_malloc_global. With `bytes` 0
 * it returns a unique pointer. Returns NULL and sets errno to EINVAL if
 * `align` is 0 or no power of two, to ENOMEM if there is no memory.
 * Thread-safe. O(1), apart from growing.
 */
void *mm_memalign_global(size_t align, size_t bytes);

/**
 * free of a block of the _global functions, from any thread. With NULL it does
 * nothing. Keeps errno. Misuse is reported to the error handler of
 * mm_default(), which runs without a lock held. A block of another thread's
 * heap gets the checks that cannot race with its owner; the remaining checks
 * run when the owner reclaims the block. Thread-safe. O(1), without a lock for
 * blocks of threads' heaps, apart from memory that returns to the system.
 */
void mm_free_global(void *ptr);

/**
 * mm_validate for the process-wide allocator and every thread's heap. Returns
 * nonzero if all are sound; 0 if not, or if the system has no memory for the
 * process-wide allocator. All other threads wait at their next call until it
 * returns. Thread-safe. O(blocks).
 */
int mm_validate_global(void);

/**
 * mm_stats for the process-wide allocator and every thread's heap together.
 * All other threads wait at their next call until it returns. `peak` is the sum
 * of the heaps' peaks, an upper bound on the true peak. `largest` is the
 * largest request that the calling thread could allocate. Returns 1; 0, with
 * nothing written, if `out` is NULL. O(threads + blocks freed by other threads
 * that their owners have yet to reclaim). Thread-safe.
 */
int mm_stats_global(mm_stats_t *out, size_t size_of_out);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

#endif  /* MEMOMAN_H */
