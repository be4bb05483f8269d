/*
 * The names of Matthew Conte's tlsf.h, version 3.1, over memoman.
 *
 * A program written for it is compiled again without change: -I...include/memoman before the other
 * include paths, and -lmemoman (or libmemoman.a) instead of tlsf.c. docs/book/tlsf.md lists the
 * differences from 3.1. tlsf_t is an mm_allocator_t *, pool_t an mm_pool_t *: calls of both headers
 * may be mixed, for example mm_stats.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

/* The original's include guard: a copy of it that is also included adds nothing. */
#ifndef INCLUDED_tlsf
#define INCLUDED_tlsf

#include "../memoman.h"

/*
 * Called by tlsf_remove_pool with an expression that must be nonzero: assert, as in 3.1, unless you
 * define it before this header.
 */
#ifndef tlsf_assert
#include <assert.h>
#define tlsf_assert assert
#endif

#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L)
#define MEMOMAN_TLSF_FUNCTION static inline
#elif defined(__GNUC__)
#define MEMOMAN_TLSF_FUNCTION static __inline__
#elif defined(_MSC_VER)
#define MEMOMAN_TLSF_FUNCTION static __inline
#else
#define MEMOMAN_TLSF_FUNCTION static
#endif

#ifdef __cplusplus
#define MEMOMAN_TLSF_CAST(type, value) static_cast<type>(value)
extern "C" {
#else
#define MEMOMAN_TLSF_CAST(type, value) ((type)(value))
#endif

/** An allocator, with any number of pools. */
typedef void *tlsf_t;

/** A pool: a region of memory that you gave to an allocator. */
typedef void *pool_t;

/** Called for each block: payload, usable bytes, nonzero if in use, your word. */
typedef void (*tlsf_walker)(void *ptr, size_t size, int used, void *user);

/** mm_create: an allocator without pools in tlsf_size() bytes; NULL if they are not aligned. */
MEMOMAN_TLSF_FUNCTION tlsf_t tlsf_create(void *mem) {
    return MEMOMAN_TLSF_CAST(tlsf_t, mm_create(mem));
}

/** mm_create_for_with_pool with the limit of mm_create, so that tlsf_size() is the control
 * structure's size; NULL if the region is too small. */
MEMOMAN_TLSF_FUNCTION tlsf_t tlsf_create_with_pool(void *mem, size_t bytes) {
    return MEMOMAN_TLSF_CAST(tlsf_t, mm_create_for_with_pool(mem, bytes, mm_block_size_max()));
}

/** mm_destroy. */
MEMOMAN_TLSF_FUNCTION void tlsf_destroy(tlsf_t tlsf) {
    mm_destroy(MEMOMAN_TLSF_CAST(mm_allocator_t *, tlsf));
}

/** The pool directly after the control structure (tlsf_create_with_pool); else the first pool. */
MEMOMAN_TLSF_FUNCTION pool_t tlsf_get_pool(tlsf_t tlsf) {
    mm_allocator_t *allocator = MEMOMAN_TLSF_CAST(mm_allocator_t *, tlsf);
    mm_pool_t *pool = NULL;
    if (tlsf != NULL) {
        /* The pool's start may be rounded up, by less than a pool's overhead. */
        pool = mm_get_pool_for_ptr(allocator, MEMOMAN_TLSF_CAST(char *, tlsf) + mm_size() +
                                                  mm_pool_overhead());
    }
    return MEMOMAN_TLSF_CAST(pool_t, pool != NULL ? pool : mm_get_pool(allocator));
}

/** mm_add_pool: any address and length; NULL if too small, or if it overlaps the allocator's
 * memory. */
MEMOMAN_TLSF_FUNCTION pool_t tlsf_add_pool(tlsf_t tlsf, void *mem, size_t bytes) {
    return MEMOMAN_TLSF_CAST(pool_t,
                             mm_add_pool(MEMOMAN_TLSF_CAST(mm_allocator_t *, tlsf), mem, bytes));
}

/** mm_remove_pool. A pool with a block in use fails tlsf_assert and is kept. */
MEMOMAN_TLSF_FUNCTION void tlsf_remove_pool(tlsf_t tlsf, pool_t pool) {
    int removed = mm_remove_pool(MEMOMAN_TLSF_CAST(mm_allocator_t *, tlsf), pool);
    tlsf_assert(removed && "a block of the pool is in use, or it is no pool of this allocator");
    (void)removed;
}

/** mm_malloc. */
MEMOMAN_TLSF_FUNCTION void *tlsf_malloc(tlsf_t tlsf, size_t bytes) {
    return mm_malloc(MEMOMAN_TLSF_CAST(mm_allocator_t *, tlsf), bytes);
}

/** mm_memalign: `align` is a power of two, else NULL. */
MEMOMAN_TLSF_FUNCTION void *tlsf_memalign(tlsf_t tlsf, size_t align, size_t bytes) {
    return mm_memalign(MEMOMAN_TLSF_CAST(mm_allocator_t *, tlsf), align, bytes);
}

/** mm_realloc. */
MEMOMAN_TLSF_FUNCTION void *tlsf_realloc(tlsf_t tlsf, void *ptr, size_t size) {
    return mm_realloc(MEMOMAN_TLSF_CAST(mm_allocator_t *, tlsf), ptr, size);
}

/** mm_free. */
MEMOMAN_TLSF_FUNCTION void tlsf_free(tlsf_t tlsf, void *ptr) {
    mm_free(MEMOMAN_TLSF_CAST(mm_allocator_t *, tlsf), ptr);
}

/** mm_block_size: the usable bytes, not the requested ones. */
MEMOMAN_TLSF_FUNCTION size_t tlsf_block_size(void *ptr) {
    return mm_block_size(ptr);
}

/** mm_size: bytes that tlsf_create takes. */
MEMOMAN_TLSF_FUNCTION size_t tlsf_size(void) {
    return mm_size();
}

/** mm_align_size. */
MEMOMAN_TLSF_FUNCTION size_t tlsf_align_size(void) {
    return mm_align_size();
}

/** mm_block_size_min. */
MEMOMAN_TLSF_FUNCTION size_t tlsf_block_size_min(void) {
    return mm_block_size_min();
}

/** mm_block_size_max. */
MEMOMAN_TLSF_FUNCTION size_t tlsf_block_size_max(void) {
    return mm_block_size_max();
}

/** mm_pool_overhead. */
MEMOMAN_TLSF_FUNCTION size_t tlsf_pool_overhead(void) {
    return mm_pool_overhead();
}

/** mm_alloc_overhead. */
MEMOMAN_TLSF_FUNCTION size_t tlsf_alloc_overhead(void) {
    return mm_alloc_overhead();
}

/** mm_walk_pool: no walker, nothing happens; 3.1 prints the blocks. */
MEMOMAN_TLSF_FUNCTION void tlsf_walk_pool(pool_t pool, tlsf_walker walker, void *user) {
    mm_walk_pool(MEMOMAN_TLSF_CAST(mm_pool_t *, pool), walker, user);
}

/** mm_check: 0 if everything is sound, else negative. */
MEMOMAN_TLSF_FUNCTION int tlsf_check(tlsf_t tlsf) {
    return mm_check(MEMOMAN_TLSF_CAST(mm_allocator_t *, tlsf));
}

/** mm_check_pool: 0 if the pool is sound, else negative. */
MEMOMAN_TLSF_FUNCTION int tlsf_check_pool(pool_t pool) {
    return mm_check_pool(MEMOMAN_TLSF_CAST(mm_pool_t *, pool));
}

#ifdef __cplusplus
}
#endif

#endif /* INCLUDED_tlsf */
