/* Stress: long random programs with a model beside them, patterns of fragmentation, worst cases of
 * small blocks. */
#include "support/engine.h"

#define OPERATIONS 150000

static void stress(const char *name, uint64_t seed, engine_mix mix, size_t max_block) {
    mm_allocator_t *heap = max_block ? heap_bare_for(max_block) : heap_bare();
    engine *engine = engine_new(name, heap, engine_seed(seed), engine_operations(OPERATIONS), mix);
    engine_run(engine);
    engine_free(engine);
}

TEST(stress, uniform_sizes) {
    stress("uniform", 1, MIX_UNIFORM, 0);
}
TEST(stress, small_sizes) {
    stress("small", 2, MIX_SMALL, 0);
}
TEST(stress, powers_of_two) {
    stress("powers", 3, MIX_POWERS, 0);
}
TEST(stress, few_recurring_sizes) {
    stress("few", 4, MIX_FEW_SIZES, 0);
}
TEST(stress, huge_sizes_rarely) {
    stress("huge", 5, MIX_HUGE_RARELY, 0);
}
TEST(stress, a_small_control_structure) {
    stress("create-for", 6, MIX_UNIFORM, 2000);
}

#define MANY 80000
static void *blocks[MANY];

/* Fills the heap with blocks of n bytes. */
static size_t crowd(mm_allocator_t *heap, size_t n) {
    size_t count = 0;
    while (count < MANY && (blocks[count] = mm_malloc(heap, n)) != NULL) {
        memset(blocks[count], (int)count, mm_block_size(blocks[count]));
        count++;
    }
    CHECK(count < MANY);
    return count;
}

TEST(stress, worst_case_small_blocks) {
    size_t usable = (size_t)1 << 20;
    mm_allocator_t *heap = heap_new(usable);
    heap_state fresh = heap_freeze(heap);
    size_t count = crowd(heap, 1);
    /* Only a remainder too small for a block is lost. */
    CHECK_EQ(count, (usable_for(usable) + HEADER) / (MIN_USABLE + HEADER));
    CHECK_EQ(heap_stats(heap).live_blocks, count);
    CHECK_LE(heap_stats(heap).free, MIN_USABLE);
    HEAP_SOUND(heap);
    /* Every other block is free: half of the heap, in pieces of the smallest size. */
    for (size_t i = 0; i < count; i += 2) mm_free(heap, blocks[i]);
    HEAP_SOUND(heap);
    CHECK_EQ(heap_stats(heap).largest, MIN_USABLE);
    CHECK_NULL(mm_malloc(heap, MIN_USABLE + 1));
    for (size_t i = 0; i < count; i += 2) CHECK((blocks[i] = mm_malloc(heap, MIN_USABLE)) != NULL);
    CHECK_NULL(mm_malloc(heap, 1));
    HEAP_SOUND(heap);
    for (size_t i = 0; i < count; i++) mm_free(heap, blocks[i]);
    HEAP_SAME_SHAPE(heap, &fresh);
}

TEST(stress, small_blocks_grow_and_shrink) {
    mm_allocator_t *heap = heap_new((size_t)1 << 19);
    heap_state fresh = heap_freeze(heap);
    size_t count = crowd(heap, 100);
    for (size_t i = 0; i < count; i++) CHECK_PTR(mm_realloc(heap, blocks[i], 1), blocks[i]);
    HEAP_SOUND(heap);
    /* The bytes that each block returned are allocated by other requests. */
    size_t more = 0;
    while (mm_malloc(heap, 40)) more++;
    CHECK_GE(more, count - 1);
    HEAP_SOUND(heap);
    CHECK_EQ(mm_reset(heap), 1);
    HEAP_SAME_SHAPE(heap, &fresh);
}

/* A checkerboard for every stride: every free block is found again. */
TEST(stress, checkerboards) {
    mm_allocator_t *heap = heap_new((size_t)1 << 19);
    heap_state fresh = heap_freeze(heap);
    for (size_t n = 24; n < 3000; n = n * 3 / 2 + 5)
        for (size_t stride = 2; stride < 6; stride++) {
            size_t count = crowd(heap, n);
            suite_context("n %zu, stride %zu", n, stride);
            size_t holes = 0;
            for (size_t i = 0; i < count; i += stride, holes++) mm_free(heap, blocks[i]);
            for (size_t i = 0; i < count; i += stride)
                CHECK((blocks[i] = mm_malloc(heap, n)) != NULL);
            HEAP_SOUND(heap);
            for (size_t i = 0; i < count; i += stride) mm_free(heap, blocks[i]);
            /* Two smaller ones fit in each hole of some size. */
            if (n >= 200)
                for (size_t i = 0; i < 2 * holes; i++) CHECK(mm_malloc(heap, n / 2 - 40) != NULL);
            HEAP_SOUND(heap);
            CHECK_EQ(mm_reset(heap), 1);
        }
    HEAP_SAME_SHAPE(heap, &fresh);
}

/* Sizes that grow a little with each round, as queues and strings do: freed memory must merge
 * again. */
TEST(stress, sawtooth) {
    mm_allocator_t *heap = heap_new((size_t)1 << 19);
    heap_state fresh = heap_freeze(heap);
    for (size_t round = 0; round < 60; round++) {
        size_t n = 50 + 37 * round, count = crowd(heap, n);
        suite_context("round %zu", round);
        CHECK_GE(count * (usable_limit(n) + HEADER), ((size_t)1 << 19) - 2 * (n + 100));
        if (round % 2)
            for (size_t i = count; i-- > 0;) mm_free(heap, blocks[i]);
        else
            for (size_t i = 0; i < count; i++) mm_free(heap, blocks[i]);
        HEAP_SAME_SHAPE(heap, &fresh);
    }
}

/* Long-lived blocks among short-lived ones. The average loss stays below the literature's 25 %. */
TEST(stress, long_lived_among_short_lived) {
    suite_random random = suite_seeded(engine_seed(9));
    mm_allocator_t *heap = heap_new((size_t)1 << 20);
    size_t count = 0, refused = 0;
    while (refused < 200 && count < MANY) {
        size_t n = suite_below(&random, 500) + 20;
        void *p = mm_malloc(heap, n);
        if (!p) {
            refused++;
            continue;
        }
        if (suite_below(&random, 10) < 7)
            mm_free(heap, p);
        else
            blocks[count++] = p;
    }
    mm_stats_t stats = heap_stats(heap);
    CHECK(stats.used > stats.pool_bytes / 4 * 3);
    HEAP_SOUND(heap);
    for (size_t i = 0; i < count; i++) mm_free(heap, blocks[i]);
    CHECK_EQ(heap_walked(heap, 0).blocks, 1);
}

/* One block that grows by doubling and by small steps among others, as vectors do. */
TEST(stress, growing_vectors) {
    enum { VECTORS = 12 };
    suite_random random = suite_seeded(engine_seed(10));
    mm_allocator_t *heap = heap_new((size_t)2 << 20);
    unsigned char *vectors[VECTORS] = {0};
    size_t sizes[VECTORS] = {0};
    for (size_t turn = 0; turn < 30000; turn++) {
        size_t i = suite_below(&random, VECTORS);
        size_t wanted = sizes[i] > 60000 ? 1
                        : turn % 3       ? sizes[i] + 1 + suite_below(&random, 100)
                                         : sizes[i] * 2 + 1;
        suite_context("turn %zu: vector %zu from %zu to %zu", turn, i, sizes[i], wanted);
        unsigned char *p = mm_realloc(heap, vectors[i], wanted);
        CHECK(p != NULL);
        size_t kept = sizes[i] < wanted ? sizes[i] : wanted;
        if (turn % 8 == 0) CHECK_FILLED(p, kept, (unsigned)i);
        if (wanted > kept) fill(p, wanted, (unsigned)i);
        vectors[i] = p;
        sizes[i] = wanted;
        if (turn % 500 == 0) HEAP_SOUND(heap);
    }
    for (size_t i = 0; i < VECTORS; i++) CHECK_FILLED(vectors[i], sizes[i], (unsigned)i);
    for (size_t i = 0; i < VECTORS; i++) mm_free(heap, vectors[i]);
    CHECK_EQ(heap_walked(heap, 0).blocks, 1);
}
