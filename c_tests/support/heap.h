/* Helpers for tests of heaps: sizes derived from the library's own answers (valid on 32-bit targets
 * too), heaps of a chosen size, snapshots that show whether a call changed anything. */
#ifndef HEAP_H
#define HEAP_H

#include "suite.h"

#include "memoman.h"

#define WORD_BITS (8 * sizeof(size_t))
#define TOP_BIT ((size_t)1 << (WORD_BITS - 1))
#define IS_64_BIT (WORD_BITS == 64)
/* 2^n, 0 where a word has no such bit. */
#define POWER(n) ((n) < WORD_BITS ? (size_t)1 << ((n) % WORD_BITS) : 0)

#define QUANTUM (mm_align_size())
#define HEADER (mm_alloc_overhead())
#define MIN_USABLE (mm_block_size_min())

static inline size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

/* The debug library keeps more than a word around a block, gives exactly the requested size, and
 * holds freed blocks in quarantine: free memory is not one block then. */
static inline int heap_is_debug(void) {
    return HEADER != sizeof(void *);
}

/* Empties the debug library's quarantine: mm_remove_pool does so for any argument. */
static inline void heap_settle(mm_allocator_t *allocator) {
    if (heap_is_debug()) mm_remove_pool(allocator, NULL);
}

/* Usable bytes of the smallest block for a request of n. */
static inline size_t usable_for(size_t n) {
    if (heap_is_debug()) return n;
    size_t usable = round_up(n + HEADER, QUANTUM) - HEADER;
    return usable < MIN_USABLE ? MIN_USABLE : usable;
}

/* The most usable bytes for a request of n: 1/32 may be kept, and a remainder too small for a block
 * cannot be split off. */
static inline size_t usable_limit(size_t n) {
    return usable_for(n) + n / 32 + MIN_USABLE + HEADER - QUANTUM;
}

/* Bytes of an aligned region that makes a pool of one block with n usable bytes. */
static inline size_t region_for(size_t n) {
    size_t usable = round_up(n + HEADER, QUANTUM) - HEADER;
    return mm_pool_overhead() + (usable < MIN_USABLE ? MIN_USABLE : usable);
}

/* An instance in memory of its own, with a pool of one block of `usable` bytes. Both end with the
 * test. */
mm_allocator_t *heap_new(size_t usable);
/* An instance without pools; for requests up to `max_block` bytes. */
mm_allocator_t *heap_bare(void);
mm_allocator_t *heap_bare_for(size_t max_block);
/* An instance with one pool in given memory: `bytes` at `region`. */
mm_allocator_t *heap_over(void *region, size_t bytes);

/* Address space that gets memory where it is touched. Fails the test when the system refuses. */
void *heap_address_space(size_t bytes);
void heap_unmap(void *start, size_t bytes);

/* The findings of a walk over every pool. */
typedef struct heap_walk {
    size_t pools, blocks, live, used, free, free_blocks, largest_free;
    uint64_t shape; /* hash of every block's address, size and state */
    uint64_t bytes; /* hash of live payloads (the first MiB of each) */
} heap_walk;
heap_walk heap_walked(mm_allocator_t *allocator, int with_bytes);

/* A heap at one moment. */
typedef struct heap_state {
    mm_stats_t stats;
    heap_walk walk;
} heap_state;
heap_state heap_freeze(mm_allocator_t *allocator);

mm_stats_t heap_stats(mm_allocator_t *allocator);

/* Sound by every check there is, and mm_stats equal to a walk. */
void heap_sound_at(mm_allocator_t *allocator, const char *file, int line);
#define HEAP_SOUND(allocator) heap_sound_at(allocator, __FILE__, __LINE__)

/* Nothing changed since `before` but the failure counter, which rose by `failed`. */
void heap_same_at(mm_allocator_t *allocator, const heap_state *before, size_t failed,
                  const char *file, int line);
#define HEAP_SAME(allocator, before, failed)                                                       \
    heap_same_at(allocator, before, failed, __FILE__, __LINE__)

/* The same blocks at the same places in the same states, all counters but peak and failures
 * equal. */
void heap_same_shape_at(mm_allocator_t *allocator, const heap_state *before, const char *file,
                        int line);
#define HEAP_SAME_SHAPE(allocator, before) heap_same_shape_at(allocator, before, __FILE__, __LINE__)

/* A pattern that depends on the seed and on the place. */
void fill(void *start, size_t bytes, unsigned seed);
/* The number of bytes from the start that still have it. */
size_t filled(const void *start, size_t bytes, unsigned seed);
#define CHECK_FILLED(start, bytes, seed) CHECK_EQ(filled(start, bytes, seed), bytes)

static inline size_t misalignment(const void *p, size_t align) {
    return (size_t)((uintptr_t)p & (align - 1));
}

/* A block for n bytes: not NULL, aligned, of a size within the bounds. */
#define CHECK_BLOCK(p, n)                                                                          \
    do {                                                                                           \
        CHECK((p) != NULL);                                                                        \
        CHECK_EQ(misalignment(p, QUANTUM), 0);                                                     \
        CHECK_GE(mm_block_size(p), n);                                                             \
        CHECK_LE(mm_block_size(p), usable_limit(n));                                               \
    } while (0)

#endif
