/* Group J: accounting. After every operation mm_stats equals a walk; failed calls change the
 * failure counter only. */
#include "support/heap.h"

/* The expected counters, kept beside the heap. */
static size_t peak, failed, live;

static void account(mm_allocator_t *heap) {
    HEAP_SOUND(heap);
    mm_stats_t stats = heap_stats(heap);
    if (stats.used > peak) peak = stats.used;
    CHECK_EQ(stats.peak, peak);
    CHECK_EQ(stats.failed_requests, failed);
    CHECK_EQ(stats.live_blocks, live);
}

static void random_operations(uint64_t seed, size_t turns, size_t spread) {
    enum { BLOCKS = 60, POOL = 12000 };
    suite_random random = suite_seeded(seed);
    mm_allocator_t *heap = heap_new(20000);
    unsigned char *second = suite_memory(QUANTUM, POOL);
    void *blocks[BLOCKS] = {0};
    int has_second = 0;
    peak = failed = live = 0;
    account(heap);
    for (size_t turn = 0; turn < turns; turn++) {
        size_t i = suite_below(&random, BLOCKS), n = suite_below(&random, spread) + 1,
               what = suite_below(&random, 20);
        suite_context("seed %llu, turn %zu, what %zu, n %zu", (unsigned long long)seed, turn, what,
                      n);
        heap_state before = heap_freeze(heap);
        if (what == 0) {
            /* Pools come and go; counters of blocks do not move. */
            if (!has_second) {
                CHECK(mm_add_pool(heap, second, POOL) != NULL);
                has_second = 1;
            } else if (mm_remove_pool(heap, second)) {
                has_second = 0;
            } else {
                HEAP_SAME(heap, &before, 0);
            }
        } else if (what == 1) {
            /* Refused: not enough memory. */
            CHECK_NULL(mm_malloc(heap, before.stats.largest + 1 + n));
            failed++;
            HEAP_SAME(heap, &before, 1);
        } else if (what == 2) {
            /* Refused: invalid requests, which are not counted. */
            CHECK_NULL(mm_malloc(heap, 0));
            CHECK_NULL(mm_memalign(heap, 24, n));
            mm_free(heap, NULL);
            HEAP_SAME(heap, &before, 0);
        } else if (!blocks[i]) {
            blocks[i] = what < 8    ? mm_malloc(heap, n)
                        : what < 12 ? mm_calloc(heap, 1, n)
                        : what < 16 ? mm_memalign(heap, (size_t)8 << what % 8, n)
                                    : mm_realloc(heap, NULL, n);
            if (blocks[i]) {
                live++;
                CHECK_EQ(heap_stats(heap).used,
                         before.stats.used + mm_block_size(blocks[i]) + HEADER);
            } else {
                failed++;
                HEAP_SAME(heap, &before, 1);
            }
        } else if (what < 12) {
            size_t size = mm_block_size(blocks[i]) + HEADER;
            if (what < 8)
                mm_free(heap, blocks[i]);
            else
                CHECK_NULL(mm_realloc(heap, blocks[i], 0));
            blocks[i] = NULL;
            live--;
            CHECK_EQ(heap_stats(heap).used, before.stats.used - size);
        } else {
            size_t old = mm_block_size(blocks[i]);
            void *p = what < 17 ? mm_realloc(heap, blocks[i], n)
                                : mm_realloc_aligned(heap, blocks[i], 64, n);
            if (p) {
                blocks[i] = p;
                CHECK_EQ(heap_stats(heap).used, before.stats.used - old + mm_block_size(p));
            } else {
                failed++;
                HEAP_SAME(heap, &before, 1);
            }
            /* A move holds both blocks while it copies: the peak may count both. */
            mm_stats_t now = heap_stats(heap);
            if (now.peak > peak) {
                CHECK_LE(now.peak, before.stats.used + usable_limit(n) + HEADER);
                peak = now.peak;
            }
        }
        account(heap);
    }
}

TEST(J, every_operation_small_blocks) {
    random_operations(1, 6000, 200);
}
TEST(J, every_operation_mixed_blocks) {
    random_operations(2, 6000, 2000);
}
TEST(J, every_operation_near_exhaustion) {
    random_operations(3, 6000, 9000);
}

TEST(J, numbers_of_a_known_heap) {
    mm_allocator_t *heap = heap_new(1000);
    mm_stats_t stats = heap_stats(heap);
    CHECK_EQ(stats.pool_bytes, region_for(1000));
    CHECK_EQ(stats.used, 0);
    CHECK_EQ(stats.free, usable_for(1000) + HEADER);
    CHECK_EQ(stats.overhead, mm_pool_overhead() - HEADER);
    CHECK_EQ(stats.peak, 0);
    CHECK_EQ(stats.largest, usable_for(1000));
    CHECK_EQ(stats.live_blocks, 0);
    CHECK_EQ(stats.failed_requests, 0);
    void *p = mm_malloc(heap, 100);
    stats = heap_stats(heap);
    CHECK_EQ(stats.used, usable_for(100) + HEADER);
    CHECK_EQ(stats.free, usable_for(1000) - usable_for(100));
    CHECK_EQ(stats.peak, stats.used);
    CHECK_EQ(stats.largest, usable_for(1000) - usable_for(100) - HEADER);
    CHECK_EQ(stats.live_blocks, 1);
    mm_free(heap, p);
    stats = heap_stats(heap);
    CHECK_EQ(stats.used, 0);
    CHECK_EQ(stats.peak, usable_for(100) + HEADER);
    CHECK_EQ(stats.live_blocks, 0);
}

TEST(J, failures_are_counted_each) {
    mm_allocator_t *heap = heap_new(1000);
    heap_state before = heap_freeze(heap);
    for (size_t i = 1; i <= 100; i++) {
        switch (i % 5) {
        case 0: CHECK_NULL(mm_malloc(heap, 2000)); break;
        case 1: CHECK_NULL(mm_calloc(heap, 100, 100)); break;
        case 2: CHECK_NULL(mm_memalign(heap, 64, 2000)); break;
        case 3: CHECK_NULL(mm_realloc(heap, NULL, 2000)); break;
        default: CHECK_NULL(mm_realloc_aligned(heap, NULL, 64, 2000)); break;
        }
        HEAP_SAME(heap, &before, i);
    }
}

TEST(J, peak_is_the_highest_used) {
    mm_allocator_t *heap = heap_new(10000);
    void *blocks[50];
    size_t used = 0;
    for (size_t i = 0; i < 50; i++) {
        blocks[i] = mm_malloc(heap, 100);
        CHECK_EQ(heap_stats(heap).peak, heap_stats(heap).used);
    }
    used = heap_stats(heap).used;
    for (size_t i = 0; i < 50; i++) {
        mm_free(heap, blocks[i]);
        CHECK_EQ(heap_stats(heap).peak, used);
    }
    void *p = mm_malloc(heap, 200);
    CHECK_EQ(heap_stats(heap).peak, used);
    mm_free(heap, p);
}

TEST(J, totals_over_many_pools_add_up) {
    mm_allocator_t *heap = heap_bare();
    size_t bytes = 0;
    for (size_t i = 1; i <= 40; i++) {
        size_t size = 208 + 16 * i;
        CHECK(mm_add_pool(heap, suite_memory(QUANTUM, size), size) != NULL);
        bytes += size;
        mm_stats_t stats = heap_stats(heap);
        CHECK_EQ(stats.pool_bytes, bytes);
        CHECK_EQ(stats.overhead, i * (mm_pool_overhead() - HEADER));
        CHECK_EQ(stats.used + stats.free + stats.overhead, stats.pool_bytes);
        CHECK(mm_malloc(heap, 30) != NULL);
        HEAP_SOUND(heap);
    }
}
