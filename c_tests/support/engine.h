/* The stress engine: random operations on one heap, with a model beside it. Every block is full of
 * a pattern that is compared when the block is freed or moved; counters are compared after every
 * operation; from time to time the heap is validated, walked, and compared with the model block by
 * block.
 *
 * MM_SEED and MM_OPS in the environment override seed and count. The last operations are kept in a
 * ring, which a failure or a deadly signal writes to a file in MM_LOG_DIR (or the working
 * directory), named in the message. */
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
typedef enum { MIX_UNIFORM, MIX_SMALL, MIX_POWERS, MIX_FEW_SIZES, MIX_HUGE_RARELY } engine_mix;

typedef struct engine engine;

/* The functions under test: the handle API's, or those of the process-wide heap, which manages its
 * own pools. */
typedef struct engine_front {
    void *(*malloc)(engine *, size_t bytes);
    void *(*calloc)(engine *, size_t count, size_t size);
    void *(*memalign)(engine *, size_t align, size_t bytes);
    void *(*realloc)(engine *, void *ptr, size_t bytes);
    void *(*realloc_aligned)(engine *, void *ptr, size_t align, size_t bytes); /* or NULL */
    void (*free)(engine *, void *ptr);
    size_t (*usable)(const void *ptr);
    int (*validate)(engine *);
    /* Figures that the heap does not report come from the engine's model. */
    mm_stats_t (*stats)(engine *);
    /* How many bytes more in use than `usable` says the figures may report; NULL: none. */
    size_t (*beyond)(const mm_stats_t *);
} engine_front;

extern const engine_front engine_handle;

struct engine {
    mm_allocator_t *allocator;
    const engine_front *front;
    suite_random random;
    uint64_t seed;
    size_t operations;
    engine_mix mix;
    const char *name;
    int fixed_pools; /* never add, remove or extend */
    /* Operations between two validations, and between two comparisons of everything: powers of
     * two. */
    size_t validate_every, compare_every;
    /* Called every 4,096 operations; nonzero ends the run. With it, each call is timed. */
    int (*watch)(engine *);
    uint64_t worst_ns;
    mm_stats_t base; /* before the first operation */
    /* The model. */
    engine_slot slots[ENGINE_SLOTS];
    engine_pool pools[ENGINE_POOLS];
    size_t live, used, peak, failed, number;
    /* The log. */
    engine_record log[ENGINE_LOG];
};

/* Makes an engine over a bare allocator. At most ENGINE_SLOTS blocks live at a time. */
engine *engine_new(const char *name, mm_allocator_t *allocator, uint64_t seed, size_t operations,
                   engine_mix mix);
void engine_free(engine *engine);

/* Runs all operations (for the handle API after adding the engine's pools), frees everything, and
 * checks that every pool is one block. */
void engine_run(engine *engine);

/* Defaults from the environment. */
uint64_t engine_seed(uint64_t otherwise);
size_t engine_operations(size_t otherwise);

#endif
