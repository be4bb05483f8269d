/* Group D: mm_extend_pool. Memory directly after a pool joins it; nothing that lives in the pool
 * moves or changes. */
#include "support/heap.h"

#define START 2048 /* usable bytes before the extension */
#define ROOM 8192  /* bytes after the pool */

static mm_allocator_t *heap;
static mm_pool_t *pool;
static unsigned char *region;
static size_t region_bytes;

static void begin(void) {
    suite_release();
    region_bytes = region_for(START);
    region = suite_memory(QUANTUM, region_bytes + ROOM);
    memset(region, 0xFF, region_bytes + ROOM);
    heap = heap_over(region, region_bytes);
    pool = mm_get_pool(heap);
}

/* Extends by `more`; checks the totals. */
static void extended(size_t more) {
    mm_stats_t before = heap_stats(heap);
    CHECK_EQ(mm_extend_pool(heap, pool, more), 1);
    mm_stats_t after = heap_stats(heap);
    CHECK_GE(after.pool_bytes, before.pool_bytes + more / QUANTUM * QUANTUM);
    CHECK_LE(after.pool_bytes, before.pool_bytes + more);
    CHECK_EQ(after.free - before.free, after.pool_bytes - before.pool_bytes);
    CHECK_EQ(after.used, before.used);
    CHECK_EQ(after.overhead, before.overhead);
    CHECK_EQ(after.peak, before.peak);
    CHECK_EQ(after.live_blocks, before.live_blocks);
    HEAP_SOUND(heap);
    CHECK_PTR(mm_get_pool(heap), pool);
    CHECK_NULL(mm_next_pool(heap, pool));
}

TEST(D, the_last_payload_full_of_a_pattern_stays_intact) {
    static const size_t more[] = {32, 33, 40, 48, 64, 100, 1024, ROOM};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        begin();
        unsigned char *p = mm_malloc(heap, START);
        CHECK_BLOCK(p, START);
        size_t size = mm_block_size(p);
        CHECK_EQ(heap_stats(heap).free, 0);
        fill(p, size, 9);
        suite_context("more = %zu", more[i]);
        extended(more[i]);
        CHECK_EQ(mm_block_size(p), size);
        CHECK_FILLED(p, size, 9);
        /* The new memory is a block of its own, then merges with the old one. */
        size_t largest = heap_stats(heap).largest;
        unsigned char *q = mm_malloc(heap, largest);
        CHECK_BLOCK(q, largest);
        memset(q, 0xEE, largest);
        CHECK_FILLED(p, size, 9);
        mm_free(heap, p);
        mm_free(heap, q);
        HEAP_SOUND(heap);
        CHECK_EQ(heap_walked(heap, 0).blocks, 1);
    }
}

TEST(D, a_free_tail_grows) {
    begin();
    unsigned char *p = mm_malloc(heap, 100);
    fill(p, 100, 4);
    size_t largest = heap_stats(heap).largest;
    extended(ROOM);
    CHECK_EQ(heap_stats(heap).largest, largest + ROOM);
    CHECK_EQ(heap_walked(heap, 0).blocks, 2);
    CHECK_FILLED(p, 100, 4);
    unsigned char *q = mm_malloc(heap, largest + ROOM);
    CHECK_BLOCK(q, largest + ROOM);
    HEAP_SOUND(heap);
}

TEST(D, after_a_free_of_the_last_block) {
    begin();
    unsigned char *p = mm_malloc(heap, 600), *q = mm_malloc(heap, 600),
                  *r = mm_malloc(heap, heap_stats(heap).largest);
    CHECK(p && q && r);
    CHECK_EQ(heap_stats(heap).free, 0);
    mm_free(heap, r);
    extended(64);
    mm_free(heap, q);
    HEAP_SOUND(heap);
    extended(64);
    mm_free(heap, p);
    HEAP_SOUND(heap);
    CHECK_EQ(heap_walked(heap, 0).blocks, 1);
    CHECK_EQ(heap_stats(heap).pool_bytes, region_bytes + 128);
}

TEST(D, an_empty_pool_grows_to_one_block) {
    begin();
    extended(ROOM);
    CHECK_EQ(heap_walked(heap, 0).blocks, 1);
    CHECK_EQ(heap_stats(heap).largest, START + ROOM + (usable_for(START) - START));
}

/* A few bytes: they join a free tail whenever they make a quantum; after a live block they must
 * make a block. */
static void by_few(size_t more) {
    suite_context("free tail, more = %zu", more);
    begin();
    void *p = mm_malloc(heap, 100);
    CHECK(p != NULL);
    heap_state before = heap_freeze(heap);
    if (more >= QUANTUM) {
        extended(more);
    } else {
        CHECK_EQ(mm_extend_pool(heap, pool, more), 0);
        HEAP_SAME(heap, &before, 0);
    }
    suite_context("live tail, more = %zu", more);
    begin();
    unsigned char *q = mm_malloc(heap, START);
    size_t size = mm_block_size(q);
    fill(q, size, 2);
    before = heap_freeze(heap);
    if (more >= MIN_USABLE + HEADER) {
        extended(more);
        CHECK_EQ(heap_walked(heap, 0).free_blocks, 1);
    } else if (mm_extend_pool(heap, pool, more) == 0) {
        HEAP_SAME(heap, &before, 0);
    } else {
        HEAP_SOUND(heap);
    }
    CHECK_FILLED(q, size, 2);
}

TEST(D, by_16_bytes) {
    by_few(16);
}
TEST(D, by_24_bytes) {
    by_few(24);
}
TEST(D, by_31_bytes) {
    by_few(31);
}
TEST(D, by_32_bytes) {
    by_few(32);
}
TEST(D, by_0_to_80_bytes) {
    for (size_t more = 0; more <= 80; more++) by_few(more);
}

TEST(D, many_small_extensions_add_up) {
    begin();
    size_t before = heap_stats(heap).pool_bytes, total = 0;
    while (total + QUANTUM <= ROOM) {
        CHECK_EQ(mm_extend_pool(heap, pool, QUANTUM), 1);
        total += QUANTUM;
    }
    CHECK_EQ(heap_stats(heap).pool_bytes, before + total);
    HEAP_SOUND(heap);
    CHECK_EQ(heap_walked(heap, 0).blocks, 1);
}

/* Each extension ends in a live block, so that each makes a block of its own. */
TEST(D, extensions_between_allocations) {
    begin();
    unsigned char *blocks[100];
    size_t count = 0, total = 0;
    blocks[count++] = mm_malloc(heap, START);
    while (total + 160 <= ROOM && count < 100) {
        extended(160);
        total += 160;
        size_t largest = heap_stats(heap).largest;
        blocks[count] = mm_malloc(heap, largest);
        CHECK_BLOCK(blocks[count], largest);
        fill(blocks[count], largest, (unsigned)count);
        count++;
    }
    for (size_t i = 1; i < count; i++) CHECK_FILLED(blocks[i], 160 - HEADER, (unsigned)i);
    for (size_t i = 0; i < count; i++) mm_free(heap, blocks[i]);
    HEAP_SOUND(heap);
    CHECK_EQ(heap_walked(heap, 0).blocks, 1);
}

static void refused(size_t more) {
    heap_state before = heap_freeze(heap);
    suite_context("more = SIZE_MAX - %zu = %zu", SIZE_MAX - more, more);
    CHECK_EQ(mm_extend_pool(heap, pool, more), 0);
    HEAP_SAME(heap, &before, 0);
}

static void total_overflow(void) {
    for (size_t k = 0; k <= 64; k++) refused(SIZE_MAX - k);
    refused(TOP_BIT + TOP_BIT / 2);
    refused(SIZE_MAX - (uintptr_t)region);
    refused(SIZE_MAX - (uintptr_t)region - region_bytes + 1);
    refused(SIZE_MAX - (uintptr_t)region - region_bytes + 2);
}

TEST(D, total_overflow_with_a_free_tail) {
    begin();
    CHECK(mm_malloc(heap, 100) != NULL);
    total_overflow();
}

TEST(D, total_overflow_with_a_live_tail) {
    begin();
    CHECK(mm_malloc(heap, START) != NULL);
    total_overflow();
}

TEST(D, not_over_the_next_pool) {
    begin();
    unsigned char *second = region + region_bytes + 1024;
    CHECK(mm_add_pool(heap, second, 1024) != NULL);
    refused(1025);
    refused(1024 + 64);
    refused(4096);
    heap_state before = heap_freeze(heap);
    CHECK_EQ(mm_extend_pool(heap, pool, 1024), 1);
    CHECK_EQ(heap_stats(heap).pool_bytes, before.stats.pool_bytes + 1024);
    HEAP_SOUND(heap);
    /* Full up to the next pool: not a byte more. */
    refused(1);
    refused(QUANTUM);
    refused(64);
}

TEST(D, not_over_the_control_structure) {
    size_t bytes = round_up(mm_size(), QUANTUM) + 4096;
    unsigned char *memory = suite_memory(QUANTUM, bytes);
    heap = mm_create(memory + 4096);
    pool = mm_add_pool(heap, memory, 2048);
    CHECK(heap && pool);
    refused(2049);
    refused(4096);
    refused(2048 + mm_size());
    CHECK_EQ(mm_extend_pool(heap, pool, 2048), 1);
    HEAP_SOUND(heap);
}

TEST(D, null_and_foreign_pools) {
    begin();
    heap_state before = heap_freeze(heap);
    CHECK_EQ(mm_extend_pool(NULL, pool, 64), 0);
    CHECK_EQ(mm_extend_pool(heap, NULL, 64), 0);
    CHECK_EQ(mm_extend_pool(heap, pool, 0), 0);
    HEAP_SAME(heap, &before, 0);
    mm_allocator_t *other = heap_new(512);
    heap_state others = heap_freeze(other);
    CHECK_EQ(mm_extend_pool(heap, mm_get_pool(other), 64), 0);
    CHECK_EQ(mm_extend_pool(other, pool, 64), 0);
    HEAP_SAME(heap, &before, 0);
    HEAP_SAME(other, &others, 0);
}

TEST_64(D, to_8_gib_by_gigabytes) {
    unsigned char *space = heap_address_space(POWER(33));
    heap = heap_over(space, POWER(30));
    pool = mm_get_pool(heap);
    for (int i = 1; i < 8; i++) CHECK_EQ(mm_extend_pool(heap, pool, POWER(30)), 1);
    CHECK_EQ(heap_stats(heap).pool_bytes, POWER(33));
    HEAP_SOUND(heap);
    unsigned char *p = mm_malloc(heap, POWER(33) - 4096);
    CHECK_BLOCK(p, POWER(33) - 4096);
    p[0] = p[POWER(33) - 4097] = 1;
    HEAP_SOUND(heap);
    heap_unmap(space, POWER(33));
}
