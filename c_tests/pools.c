/* Group C: pools. Any address and any length: rounded inward, refused with nothing changed, or a
 * pool. */
#include "support/heap.h"

static size_t pool_min(void) {
    return mm_pool_overhead() + MIN_USABLE;
}

static void refused(mm_allocator_t *heap, void *mem, size_t bytes) {
    heap_state before = heap_freeze(heap);
    suite_context("mem %p, bytes %zu", mem, bytes);
    CHECK_NULL(mm_add_pool(heap, mem, bytes));
    HEAP_SAME(heap, &before, 0);
}

TEST(C, sizes_around_the_overhead) {
    mm_allocator_t *heap = heap_bare();
    size_t overhead = mm_pool_overhead();
    for (size_t bytes = 0; bytes < pool_min(); bytes++)
        refused(heap, suite_memory(QUANTUM, bytes), bytes);
    refused(heap, suite_memory(QUANTUM, overhead), overhead - 1);
    refused(heap, suite_memory(QUANTUM, overhead), overhead);
    refused(heap, suite_memory(QUANTUM, pool_min()), pool_min() - 1);
    CHECK(mm_add_pool(heap, suite_memory(QUANTUM, pool_min()), pool_min()) != NULL);
    HEAP_SOUND(heap);
    CHECK_EQ(heap_stats(heap).largest, MIN_USABLE);
    void *p = mm_malloc(heap, MIN_USABLE);
    CHECK_BLOCK(p, MIN_USABLE);
    memset(p, 0xFF, MIN_USABLE);
    CHECK_NULL(mm_malloc(heap, 1));
    HEAP_SOUND(heap);
    mm_free(heap, p);
    HEAP_SOUND(heap);
}

TEST(C, add_pool_at_every_base_and_odd_size) {
    for (size_t offset = 0; offset < 2 * QUANTUM; offset++)
        for (size_t bytes = 1000; bytes < 1000 + 2 * QUANTUM; bytes++) {
            suite_context("base + %zu, %zu bytes", offset, bytes);
            unsigned char *memory = suite_memory_at(4096, offset, bytes);
            mm_allocator_t *heap = heap_over(memory, bytes);
            HEAP_SOUND(heap);
            size_t whole = (offset + bytes) / QUANTUM * QUANTUM - round_up(offset, QUANTUM);
            CHECK_EQ(heap_stats(heap).pool_bytes, whole);
            size_t largest = heap_stats(heap).largest;
            CHECK_EQ(largest, whole - mm_pool_overhead());
            unsigned char *p = mm_malloc(heap, largest);
            CHECK_BLOCK(p, largest);
            memset(p, 0xFF, mm_block_size(p));
            HEAP_SOUND(heap);
            mm_free(heap, p);
            /* A pool is removed by its memory or by its handle. */
            CHECK_EQ(mm_remove_pool(heap, bytes % 2 ? (void *)memory : (void *)mm_get_pool(heap)),
                     1);
            HEAP_SOUND(heap);
            CHECK_NULL(mm_get_pool(heap));
        }
}

TEST(C, past_the_top_of_the_address_space) {
    mm_allocator_t *heap = heap_new(512);
    for (size_t k = 0; k <= 64; k++) {
        refused(heap, (void *)(UINTPTR_MAX - k), 4096);
        refused(heap, (void *)(UINTPTR_MAX - 4096 - k), 8192);
        refused(heap, suite_memory(QUANTUM, 256), SIZE_MAX - k);
        CHECK_NULL(mm_create_with_pool((void *)(UINTPTR_MAX - 4096 - k), 8192));
        CHECK_NULL(mm_create_with_pool((void *)(UINTPTR_MAX / 16 * 16 - 15), SIZE_MAX - k));
    }
    /* These end beyond the top, the last unless addresses are low. */
    unsigned char *buffer = suite_memory(QUANTUM, 4096);
    refused(heap, buffer, SIZE_MAX - (uintptr_t)buffer + 1);
    refused(heap, buffer, SIZE_MAX - (uintptr_t)buffer + 2);
    if ((uintptr_t)buffer > TOP_BIT / 2) refused(heap, buffer, SIZE_MAX / 2 + TOP_BIT / 2);
}

static void big_pool(size_t bytes) {
    unsigned char *region = heap_address_space(bytes);
    mm_allocator_t *heap = heap_over(region, bytes);
    CHECK_EQ(heap_stats(heap).pool_bytes, bytes);
    size_t largest = heap_stats(heap).largest;
    CHECK_EQ(largest, bytes - mm_pool_overhead());
    unsigned char *p = mm_malloc(heap, largest);
    CHECK_PTR(p, region + mm_pool_overhead() - HEADER);
    CHECK_EQ(mm_block_size(p), largest);
    p[0] = p[largest - 1] = 0xFF;
    HEAP_SOUND(heap);
    CHECK_NULL(mm_malloc(heap, 1));
    mm_free(heap, p);
    HEAP_SOUND(heap);
    void *small = mm_malloc(heap, 100), *half = mm_malloc(heap, bytes / 2),
         *rest = mm_malloc(heap, bytes / 4);
    CHECK(small && half && rest);
    HEAP_SOUND(heap);
    mm_free(heap, small);
    mm_free(heap, rest);
    mm_free(heap, half);
    HEAP_SOUND(heap);
    CHECK_EQ(heap_walked(heap, 0).blocks, 1);
    CHECK_EQ(mm_remove_pool(heap, region), 1);
    heap_unmap(region, bytes);
}

TEST(C, a_pool_of_4_gib_and_64) {
    if (IS_64_BIT) big_pool(POWER(32) + 64);
}
TEST(C, a_pool_of_8_gib) {
    if (IS_64_BIT) big_pool(POWER(33));
}
TEST(C, a_pool_of_1_gib) {
    big_pool(POWER(30));
}

TEST(C, memory_full_of_0xff) {
    size_t bytes = mm_size() + 4096;
    unsigned char *memory = suite_memory(QUANTUM, bytes);
    memset(memory, 0xFF, bytes);
    mm_allocator_t *heap = mm_create_with_pool(memory, bytes);
    CHECK(heap != NULL);
    HEAP_SOUND(heap);
    for (int i = 0; i < 50; i++) CHECK(mm_malloc(heap, 24 + (size_t)i % 3 * 8) != NULL);
    HEAP_SOUND(heap);
    unsigned char *more = suite_memory(QUANTUM, 4096);
    memset(more, 0xFF, 4096);
    CHECK(mm_add_pool(heap, more, 4096) != NULL);
    HEAP_SOUND(heap);
    CHECK_EQ(mm_reset(heap), 1);
    HEAP_SOUND(heap);
    CHECK_EQ(heap_walked(heap, 0).blocks, 2);
}

/* Three adjacent pools, added in every order: blocks never merge across their borders. */
TEST(C, adjacent_before_after_and_both) {
    for (int order = 0; order < 6; order++) {
        unsigned char *memory = suite_memory(QUANTUM, 3 * 1024);
        mm_allocator_t *heap = heap_bare();
        suite_context("order %d", order);
        for (int i = 0; i < 3; i++)
            CHECK(mm_add_pool(heap, memory + 1024 * suite_orders[order][i], 1024) != NULL);
        HEAP_SOUND(heap);
        void *blocks[3];
        size_t one = 1024 - mm_pool_overhead();
        for (int i = 0; i < 3; i++) {
            blocks[i] = mm_malloc(heap, one);
            CHECK_BLOCK(blocks[i], one);
            memset(blocks[i], 0xFF, mm_block_size(blocks[i]));
        }
        CHECK_NULL(mm_malloc(heap, 1));
        HEAP_SOUND(heap);
        for (int i = 0; i < 3; i++) {
            mm_free(heap, blocks[i]);
            HEAP_SOUND(heap);
        }
        CHECK_EQ(heap_walked(heap, 0).blocks, 3);
        CHECK_NULL(mm_malloc(heap, one + 1));
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(mm_remove_pool(heap, memory + 1024 * suite_orders[(order + 1) % 6][i]), 1);
            HEAP_SOUND(heap);
        }
    }
}

TEST(C, a_thousand_pools) {
    enum { POOLS = 1000, BYTES = 256 };
    mm_allocator_t *heap = heap_bare();
    static unsigned char *pools[POOLS];
    static void *blocks[POOLS];
    for (size_t i = 0; i < POOLS; i++) {
        pools[i] = suite_memory(QUANTUM, BYTES);
        CHECK(mm_add_pool(heap, pools[i], BYTES) != NULL);
    }
    HEAP_SOUND(heap);
    CHECK_EQ(heap_walked(heap, 0).pools, POOLS);
    CHECK_EQ(heap_stats(heap).pool_bytes, POOLS * BYTES);
    size_t one = BYTES - mm_pool_overhead();
    for (size_t i = 0; i < POOLS; i++) {
        blocks[i] = mm_malloc(heap, one);
        CHECK_BLOCK(blocks[i], one);
        fill(blocks[i], one, (unsigned)i);
    }
    CHECK_NULL(mm_malloc(heap, 1));
    HEAP_SOUND(heap);
    for (size_t i = 0; i < POOLS; i++) {
        mm_pool_t *pool = mm_get_pool_for_ptr(heap, blocks[i]);
        CHECK(pool != NULL);
        CHECK_EQ(mm_remove_pool(heap, pool), 0);
        CHECK_FILLED(blocks[i], one, (unsigned)i);
    }
    for (size_t i = 0; i < POOLS; i += 2) mm_free(heap, blocks[i]);
    size_t removed = 0;
    for (size_t i = 0; i < POOLS; i++) removed += mm_remove_pool(heap, pools[i]) == 1;
    CHECK_EQ(removed, POOLS / 2);
    HEAP_SOUND(heap);
    for (size_t i = 1; i < POOLS; i += 2) mm_free(heap, blocks[i]);
    HEAP_SOUND(heap);
    CHECK_EQ(heap_walked(heap, 0).pools, POOLS / 2);
}

TEST(C, the_same_pool_twice) {
    unsigned char *memory = suite_memory(QUANTUM, 4096);
    mm_allocator_t *heap = heap_over(memory, 4096);
    refused(heap, memory, 4096);
    void *p = mm_malloc(heap, 100);
    refused(heap, memory, 4096);
    mm_free(heap, p);
    refused(heap, memory, 4096);
}

TEST(C, overlaps) {
    unsigned char *memory = suite_memory(QUANTUM, 4096 * 3), *pool = memory + 4096;
    mm_allocator_t *heap = heap_over(pool, 4096);
    fill(memory, 4096, 1);
    fill(memory + 8192, 4096, 2);
    refused(heap, pool - 4096, 4096 + 8);
    refused(heap, pool - 4096, 4096 + 16);
    refused(heap, pool - 4096, 4096 * 3);
    refused(heap, pool - 8, 4096 + 16);
    refused(heap, pool + 8, 4096);
    refused(heap, pool + 16, 4096 - 32);
    refused(heap, pool + 1024, 1024);
    refused(heap, pool + 4096 - 8, 4096);
    refused(heap, pool + 4096 - 16, 4096);
    CHECK_FILLED(memory, 4096, 1);
    CHECK_FILLED(memory + 8192, 4096, 2);
    CHECK(mm_add_pool(heap, memory, 4096) != NULL);
    CHECK(mm_add_pool(heap, pool + 4096, 4096) != NULL);
    HEAP_SOUND(heap);
}

TEST(C, a_pool_inside_the_control_structure) {
    size_t control = round_up(mm_size(), QUANTUM), bytes = control + 8192;
    unsigned char *memory = suite_memory(QUANTUM, bytes);
    mm_allocator_t *heap = mm_create(memory + 4096);
    CHECK(heap != NULL);
    CHECK(mm_add_pool(heap, suite_memory(QUANTUM, 512), 512) != NULL);
    refused(heap, memory + 4096, 256);
    refused(heap, memory + 4096, bytes - 4096);
    refused(heap, memory + 4096 + 16, 256);
    refused(heap, memory + 4096 + mm_size() - 8, 4096);
    refused(heap, memory, 4096 + 8);
    refused(heap, memory, bytes);
    CHECK(mm_add_pool(heap, memory, 4096) != NULL);
    CHECK(mm_add_pool(heap, memory + 4096 + control, 4096) != NULL);
    HEAP_SOUND(heap);
}

TEST(C, remove_while_a_block_is_in_use) {
    unsigned char *memory = suite_memory(QUANTUM, 4096);
    mm_allocator_t *heap = heap_over(memory, 4096);
    /* The live block at the start, in the middle, at the end. */
    for (int which = 0; which < 3; which++) {
        void *blocks[3] = {mm_malloc(heap, 100), mm_malloc(heap, 100),
                           mm_malloc(heap, heap_stats(heap).largest)};
        for (int i = 0; i < 3; i++)
            if (i != which) mm_free(heap, blocks[i]);
        heap_state before = heap_freeze(heap);
        CHECK_EQ(mm_remove_pool(heap, memory), 0);
        CHECK_EQ(mm_remove_pool(heap, mm_get_pool(heap)), 0);
        HEAP_SAME(heap, &before, 0);
        mm_free(heap, blocks[which]);
    }
    CHECK_EQ(mm_remove_pool(heap, memory), 1);
}

TEST(C, remove_twice_and_unknown) {
    unsigned char *memory = suite_memory(QUANTUM, 3 * 4096);
    mm_allocator_t *heap = heap_over(memory, 4096);
    CHECK(mm_add_pool(heap, memory + 8192, 4096) != NULL);
    CHECK(mm_add_pool(heap, memory + 4096, 4096) != NULL);
    CHECK_EQ(mm_remove_pool(heap, memory + 4096), 1);
    heap_state before = heap_freeze(heap);
    CHECK_EQ(mm_remove_pool(heap, memory + 4096), 0);
    CHECK_EQ(mm_remove_pool(heap, memory + 4096 + 16), 0);
    memset(memory + 4096, 0, 4096);
    CHECK_EQ(mm_remove_pool(heap, memory + 5000), 0);
    memset(memory + 4096, 0xFF, 4096);
    CHECK_EQ(mm_remove_pool(heap, memory + 5000), 0);
    CHECK_EQ(mm_remove_pool(heap, memory + 16), 0);
    CHECK_EQ(mm_remove_pool(heap, suite_memory(QUANTUM, 4096)), 0);
    CHECK_EQ(mm_remove_pool(heap, heap), 0);
    CHECK_EQ(mm_remove_pool(heap, NULL), 0);
    CHECK_EQ(mm_remove_pool(NULL, memory), 0);
    mm_allocator_t *other = heap_new(512);
    heap_state others = heap_freeze(other);
    CHECK_EQ(mm_remove_pool(heap, mm_get_pool(other)), 0);
    HEAP_SAME(other, &others, 0);
    HEAP_SAME(heap, &before, 0);
}

TEST(C, remove_and_add_again) {
    unsigned char *first = suite_memory(QUANTUM, 4096), *second = suite_memory(QUANTUM, 4096);
    mm_allocator_t *heap = heap_over(first, 4096);
    heap_state alone = heap_freeze(heap);
    for (int round = 0; round < 10; round++) {
        CHECK(mm_add_pool(heap, second, 4096) != NULL);
        heap_state both = heap_freeze(heap);
        CHECK_EQ(both.walk.pools, 2);
        void *p = mm_malloc(heap, 1000), *q = mm_malloc(heap, 3500), *r = mm_malloc(heap, 2000);
        CHECK(p && q && r);
        HEAP_SOUND(heap);
        mm_free(heap, q);
        mm_free(heap, p);
        mm_free(heap, r);
        HEAP_SAME_SHAPE(heap, &both);
        CHECK_EQ(mm_remove_pool(heap, second), 1);
        HEAP_SAME_SHAPE(heap, &alone);
        /* The memory of a removed pool belongs to the caller. */
        memset(second, 0xFF, 4096);
        HEAP_SAME_SHAPE(heap, &alone);
    }
}

TEST(C, a_heap_without_pools) {
    mm_allocator_t *heap = heap_bare();
    HEAP_SOUND(heap);
    CHECK_NULL(mm_get_pool(heap));
    CHECK_NULL(mm_malloc(heap, 1));
    mm_stats_t stats = heap_stats(heap);
    CHECK_EQ(stats.pool_bytes + stats.used + stats.free + stats.overhead + stats.peak +
                 stats.largest,
             0);
    CHECK_EQ(stats.failed_requests, 1);
    CHECK_EQ(mm_reset(heap), 1);
    HEAP_SOUND(heap);
}

TEST(C, create_again_in_the_same_buffer) {
    size_t bytes = mm_size() + 8192;
    unsigned char *memory = suite_memory(QUANTUM, bytes);
    heap_state first;
    for (int round = 0; round < 5; round++) {
        mm_allocator_t *heap = mm_create_with_pool(memory, bytes);
        CHECK(heap != NULL);
        HEAP_SOUND(heap);
        heap_state now = heap_freeze(heap);
        if (round == 0) first = now;
        HEAP_SAME(heap, &first, 0);
        for (int i = 0; i < 20; i++) CHECK(mm_malloc(heap, 100) != NULL);
        HEAP_SOUND(heap);
        if (round % 2) mm_destroy(heap);
    }
}

TEST(C, reset_gives_every_pool_back_as_one_block) {
    unsigned char *memory = suite_memory(QUANTUM, 3 * 4096);
    mm_allocator_t *heap = heap_bare();
    for (int i = 0; i < 3; i++)
        CHECK(mm_add_pool(heap, memory + i * 4096, 4096 - 16 * (size_t)i) != NULL);
    heap_state fresh = heap_freeze(heap);
    for (int round = 0; round < 4; round++) {
        for (size_t n = 1; mm_malloc(heap, n % 500 + 1); n = n * 7 + 1) continue;
        HEAP_SOUND(heap);
        CHECK_EQ(mm_reset(heap), 1);
        HEAP_SOUND(heap);
        HEAP_SAME_SHAPE(heap, &fresh);
    }
    CHECK_EQ(mm_reset(NULL), 0);
}
