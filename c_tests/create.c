/* Group C: an allocator and its first pool in one region. The control structure is sized to the
 * region, unless the caller gives the largest request. */
#include "support/heap.h"

static size_t pool_min(void) {
    return mm_pool_overhead() + MIN_USABLE;
}

/* The fewest bytes, at an aligned address, that hold an allocator and one smallest block. */
static size_t fewest(void) {
    void *memory = suite_memory(4096, mm_size() + 4096);
    size_t bytes = QUANTUM;
    while (mm_create_with_pool(memory, bytes) == NULL) bytes++;
    return bytes;
}

TEST(C, create_with_pool_of_every_length) {
    size_t least = fewest();
    CHECK_LE(least, mm_size_for(0) + pool_min() + 32 * QUANTUM);
    static const size_t few[] = {0, 1, 8, 40, 80, 512, 4096, 20000};
    for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
        suite_context("bytes = %zu", few[i]);
        mm_allocator_t *heap = mm_create_with_pool(suite_memory(QUANTUM, few[i]), few[i]);
        CHECK_EQ(heap != NULL, few[i] >= least);
        if (heap) HEAP_SOUND(heap);
    }
    for (size_t bytes = least - 3 * QUANTUM; bytes <= least + 3 * QUANTUM; bytes++) {
        suite_context("bytes = %zu", bytes);
        mm_allocator_t *heap = mm_create_with_pool(suite_memory(QUANTUM, bytes), bytes);
        if (bytes < least - QUANTUM) CHECK_NULL(heap);
        if (bytes >= least + QUANTUM) CHECK(heap != NULL);
        if (!heap) continue;
        HEAP_SOUND(heap);
        void *p = mm_malloc(heap, MIN_USABLE);
        CHECK_BLOCK(p, MIN_USABLE);
        memset(p, 0xFF, mm_block_size(p));
        HEAP_SOUND(heap);
    }
}

TEST(C, a_refused_create_with_pool_writes_nothing) {
    size_t least = fewest(), bytes = least - QUANTUM;
    for (size_t offset = 0; offset < 2 * QUANTUM; offset++) {
        unsigned char *memory = suite_memory_at(QUANTUM, offset, bytes);
        fill(memory, bytes, 3);
        CHECK_NULL(mm_create_with_pool(memory, bytes));
        size_t tiny = mm_size_for(0) + pool_min() - QUANTUM;
        CHECK_NULL(mm_create_for_with_pool(memory, tiny < bytes ? tiny : bytes, 0));
        CHECK_NULL(mm_create_for_with_pool(memory, bytes, 4096));
        CHECK_NULL(mm_create_for_with_pool(memory, bytes, SIZE_MAX));
        CHECK_FILLED(memory, bytes, 3);
    }
    unsigned char *memory = suite_memory(QUANTUM, 65536);
    fill(memory, 65536, 3);
    CHECK_NULL(mm_create_for_with_pool(memory, 65536, TOP_BIT + 1));
    CHECK_NULL(mm_create_for_with_pool(memory, mm_size(), mm_block_size_max()));
    CHECK_NULL(mm_create_for_with_pool(NULL, 65536, 1000));
    CHECK_NULL(mm_create_for_with_pool(memory, SIZE_MAX, 1000));
    CHECK_FILLED(memory, 65536, 3);
}

TEST(C, create_with_pool_at_every_base) {
    size_t bytes = mm_size() + 4096;
    for (size_t offset = 0; offset < 2 * QUANTUM; offset++) {
        suite_context("base + %zu", offset);
        unsigned char *memory = suite_memory_at(4096, offset, bytes);
        mm_allocator_t *heap = mm_create_with_pool(memory, bytes);
        CHECK(heap != NULL);
        HEAP_SOUND(heap);
        mm_stats_t stats = heap_stats(heap);
        /* Rounding inward loses less than a quantum at each place where something must be
         * aligned. */
        CHECK_GE(stats.pool_bytes + 3 * QUANTUM, 4096);
        unsigned char *p = mm_malloc(heap, stats.largest);
        CHECK_BLOCK(p, stats.largest);
        CHECK(p >= memory && p + mm_block_size(p) <= memory + bytes);
        memset(p, 0xFF, mm_block_size(p));
        HEAP_SOUND(heap);
        mm_free(heap, p);
        CHECK(mm_next_pool(heap, mm_get_pool(heap)) == NULL);
    }
}

/* A static array is not eaten by the control structure. */
TEST(C, an_array_is_one_block_but_for_a_little) {
    static const struct {
        size_t bytes, percent;
    } arrays[] = {{12 << 10, 85}, {16 << 10, 88}, {64 << 10, 95}, {1 << 20, 99}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        for (size_t offset = 0; offset < 2 * QUANTUM; offset++) {
            size_t bytes = arrays[i].bytes;
            suite_context("%zu bytes at offset %zu", bytes, offset);
            mm_allocator_t *heap =
                mm_create_with_pool(suite_memory_at(QUANTUM, offset, bytes), bytes);
            size_t largest = heap_stats(heap).largest;
            if (!heap_is_debug()) CHECK_GE(largest * 100, bytes * arrays[i].percent);
            void *p = mm_malloc(heap, largest);
            CHECK_BLOCK(p, largest);
            memset(p, 0xFF, largest);
            mm_free(heap, p);
            HEAP_SOUND(heap);
        }
}

/* Pools added later are used whole, but by requests up to the limit of the creation. */
TEST(C, the_limit_of_the_creation_holds_for_pools_added_later) {
    size_t bytes = 16 << 10, more = 256 << 10, limit = bytes * 88 / 100;
    for (int explicit = 0; explicit < 2; explicit ++) {
        unsigned char *memory = suite_memory(QUANTUM, bytes);
        mm_allocator_t *heap = explicit ? mm_create_for_with_pool(memory, bytes, more)
                                        : mm_create_with_pool(memory, bytes);
        CHECK(mm_add_pool(heap, suite_memory(QUANTUM, more), more) != NULL);
        if (explicit) {
            CHECK_GE(heap_stats(heap).largest, more - 2 * mm_pool_overhead());
        } else {
            if (!heap_is_debug()) CHECK_GE(heap_stats(heap).largest, limit);
            CHECK_LE(heap_stats(heap).largest, bytes);
            limit = heap_stats(heap).largest;
            CHECK_NULL(mm_malloc(heap, limit + 1));
            CHECK_NULL(mm_memalign(heap, 64, limit + 1));
            CHECK_NULL(mm_realloc(heap, NULL, limit + 1));
        }
        /* Of either allocator's second pool, little is left over. */
        size_t taken = 0, size = limit;
        for (void *p; (p = mm_malloc(heap, size)) != NULL; taken += size) memset(p, 0xFF, size);
        CHECK_GE(taken, more - 2 * limit);
        HEAP_SOUND(heap);
    }
}

TEST(C, an_explicit_limit_sizes_the_control_structure) {
    static const size_t limits[] = {0, 1, 100, 1000, 4096, 65536, (size_t)1 << 30};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        size_t bytes = mm_size_for(limits[i]) + pool_min();
        suite_context("requests up to %zu", limits[i]);
        CHECK_EQ(mm_size_for(limits[i]) % QUANTUM, 0);
        CHECK(mm_create_for_with_pool(suite_memory(QUANTUM, bytes + QUANTUM), bytes + QUANTUM,
                                      limits[i]) != NULL);
        bytes -= QUANTUM;
        CHECK_NULL(mm_create_for_with_pool(suite_memory(QUANTUM, bytes), bytes, limits[i]));
    }
    mm_allocator_t *heap =
        mm_create_for_with_pool(suite_memory(QUANTUM, 16 << 10), 16 << 10, 1000);
    CHECK(mm_malloc(heap, 1000) != NULL);
    CHECK_NULL(mm_malloc(heap, 1100));
}

TEST(C, sizes_are_multiples_of_the_quantum) {
    CHECK_EQ(mm_size() % QUANTUM, 0);
    CHECK_EQ(mm_size(), mm_size_for(mm_block_size_max()));
    for (size_t n = 0; n < 5000; n++) CHECK_EQ(mm_size_for(n) % QUANTUM, 0);
}
