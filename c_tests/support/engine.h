/* The stress engine: random operations on one allocator, with a model beside it. Every block is full of a pattern that
 * is compared when the block goes or moves; counters are compared after every operation; from time to time the heap is
 * validated, walked, and compared with the model block by block.
 *
 * MM_SEED and MM_OPS in the environment override seed and count. The last operations are kept in a ring, which a
 * failure (or a deadly signal) writes to a file in MM_LOG_DIR (or the working directory), named in the message. */
#ifndef ENGINE_H
#define ENGINE_H

#include "heap.h"

#define ENGINE_SLOTS 1024
#define ENGINE_POOLS 6
#define ENGINE_LOG 8192

typedef struct engine_slot {
    unsigned char *block;
    size_t asked, align;
    unsigned seed;
} engine_slot;

typedef struct engine_pool {
    unsigned char *memory;
    size_t capacity, bytes; /* bytes 0: not in the heap */
} engine_pool;

typedef struct engine_record {
    size_t number, slot, first, second;
    const void *before, *after;
    char what;
} engine_record;

/* How the requests are distributed. */
typedef enum engine_mix { MIX_UNIFORM, MIX_SMALL, MIX_POWERS, MIX_FEW_SIZES, MIX_HUGE_RARELY } engine_mix;

typedef struct engine {
    mm_allocator_t *allocator;
    suite_random random;
    uint64_t seed;
    size_t operations;
    engine_mix mix;
    const char *name;
    int fixed_pools; /* never add, remove or extend */
    /* The model. */
    engine_slot slots[ENGINE_SLOTS];
    engine_pool pools[ENGINE_POOLS];
    size_t live, used, peak, failed, number;
    /* The log. */
    engine_record log[ENGINE_LOG];
} engine;

/* Makes an engine over a bare allocator, with its memory. `slots` blocks at most live at a time. */
engine *engine_new(const char *name, mm_allocator_t *allocator, uint64_t seed, size_t operations, engine_mix mix);
void engine_free(engine *engine);

/* Runs all operations, frees everything, and sees that every pool is one block. */
void engine_run(engine *engine);

/* Defaults from the environment. */
uint64_t engine_seed(uint64_t otherwise);
size_t engine_operations(size_t otherwise);

#endif
