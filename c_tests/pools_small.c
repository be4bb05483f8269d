/* Group C, second part: small control structures (mm_create_for), and two allocators
 * interleaved. */
#include "support/heap.h"

static mm_allocator_t *small_heap(size_t max_block, size_t pool_bytes) {
    size_t control = mm_size_for(max_block);
    CHECK(control != 0);
    mm_allocator_t *heap = mm_create_for(suite_memory(QUANTUM, control), max_block);
    CHECK(heap != NULL);
    if (pool_bytes) CHECK(mm_add_pool(heap, suite_memory(QUANTUM, pool_bytes), pool_bytes) != NULL);
    HEAP_SOUND(heap);
    return heap;
}

TEST(C, size_for_grows_with_the_greatest_block) {
    size_t last = 0;
    for (unsigned k = 4; POWER(k) && POWER(k) <= mm_block_size_max(); k++) {
        size_t size = mm_size_for(POWER(k));
        suite_context("2^%u", k);
        CHECK(size != 0);
        CHECK_GE(size, last);
        CHECK_EQ(size % sizeof(void *), 0);
        last = size;
    }
    CHECK_LE(mm_size_for(4096), mm_size() / 2);
    CHECK_EQ(mm_size_for(SIZE_MAX), 0);
    CHECK_EQ(mm_size_for(SIZE_MAX - 64), 0);
    CHECK_NULL(mm_create_for(suite_memory(QUANTUM, mm_size()), SIZE_MAX));
}

TEST(C, create_for_serves_up_to_its_greatest_block) {
    static const size_t limits[] = {24, 100, 512, 1000, 1024, 1025, 4096, 65536, 1000000};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        suite_context("max_block = %zu", limits[i]);
        mm_allocator_t *heap = small_heap(limits[i], region_for(limits[i]));
        void *p = mm_malloc(heap, limits[i]);
        CHECK_BLOCK(p, limits[i]);
        memset(p, 0xFF, mm_block_size(p));
        HEAP_SOUND(heap);
        mm_free(heap, p);
        for (size_t n = 1; n <= limits[i]; n = n * 2 + 1) {
            void *q = mm_malloc(heap, n);
            CHECK_BLOCK(q, n);
            mm_free(heap, q);
        }
        HEAP_SOUND(heap);
    }
}

TEST(C, create_for_with_a_pool_greater_than_its_greatest_block) {
    mm_allocator_t *heap = small_heap(1000, 1 << 18);
    size_t largest = heap_stats(heap).largest;
    CHECK_GE(largest, 1000);
    void *p = mm_malloc(heap, largest);
    CHECK_BLOCK(p, largest);
    CHECK_NULL(mm_malloc(heap, largest + 1));
    mm_free(heap, p);
    CHECK_NULL(mm_malloc(heap, 1 << 17));
    CHECK_EQ(heap_stats(heap).failed_requests, 2);
    size_t count = 0;
    while (mm_malloc(heap, 1000)) count++;
    CHECK_GE(count, ((1 << 18) - mm_pool_overhead()) / (usable_limit(1000) + HEADER) - 1);
    HEAP_SOUND(heap);
    CHECK_EQ(mm_reset(heap), 1);
    HEAP_SOUND(heap);
    CHECK_EQ(heap_stats(heap).largest, largest);
}

TEST(C, create_for_wants_pointer_aligned_memory) {
    size_t control = mm_size_for(1000);
    for (size_t offset = 1; offset < sizeof(void *); offset++)
        CHECK_NULL(mm_create_for(suite_memory_at(QUANTUM, offset, control), 1000));
    CHECK_NULL(mm_create_for(NULL, 1000));
    CHECK(mm_create_for(suite_memory_at(QUANTUM, sizeof(void *), control), 1000) != NULL);
}

TEST(C, create_wants_pointer_aligned_memory) {
    for (size_t offset = 1; offset < sizeof(void *); offset++)
        CHECK_NULL(mm_create(suite_memory_at(QUANTUM, offset, mm_size())));
    CHECK_NULL(mm_create(NULL));
    mm_allocator_t *heap = mm_create(suite_memory_at(QUANTUM, sizeof(void *), mm_size()));
    CHECK(heap != NULL);
    CHECK(mm_add_pool(heap, suite_memory(QUANTUM, 4096), 4096) != NULL);
    CHECK_BLOCK(mm_malloc(heap, 100), 100);
    HEAP_SOUND(heap);
}

/* Nothing is written past the control structure: a pattern there stays intact, also without a
 * sanitizer. */
TEST(C, create_writes_its_own_bytes_only) {
    for (size_t max = 32; max <= 1 << 20; max *= 2) {
        size_t control = mm_size_for(max);
        unsigned char *memory = suite_memory(QUANTUM, control + 256);
        fill(memory, control + 256, 8);
        mm_allocator_t *heap = mm_create_for(memory, max);
        CHECK(heap != NULL);
        unsigned char *pool = suite_memory(QUANTUM, 8192 + 512);
        memset(pool, 0xC3, 8192 + 512);
        CHECK(mm_add_pool(heap, pool + 256, 8192) != NULL);
        for (size_t n = 1; n <= max && n < 4000; n += 97) mm_malloc(heap, n);
        HEAP_SOUND(heap);
        for (size_t i = 0; i < 256; i++) {
            CHECK_EQ(pool[i], 0xC3);
            CHECK_EQ(pool[256 + 8192 + i], 0xC3);
        }
        unsigned char *again = suite_memory(1, control + 256);
        fill(again, control + 256, 8);
        CHECK_EQ(memcmp(again + control, memory + control, 256), 0);
    }
}

TEST(C, two_allocators_interleaved) {
    enum { EACH = 16 };
    /* Their pools alternate in one buffer. */
    unsigned char *memory = suite_memory(QUANTUM, 2 * EACH * 1024);
    mm_allocator_t *heaps[2] = {heap_bare(), heap_bare()};
    void *blocks[2][400];
    size_t counts[2] = {0, 0};
    for (size_t i = 0; i < 2 * EACH; i++)
        CHECK(mm_add_pool(heaps[i % 2], memory + i * 1024, 1024) != NULL);
    heap_state fresh[2] = {heap_freeze(heaps[0]), heap_freeze(heaps[1])};
    for (size_t turn = 0; turn < 800; turn++) {
        size_t h = turn % 2, n = turn * 37 % 300 + 1;
        heap_state other = heap_freeze(heaps[!h]);
        unsigned char *p = mm_malloc(heaps[h], n);
        if (!p) continue;
        CHECK_EQ((size_t)(p - memory) / 1024 % 2, h);
        memset(p, (int)(h + 1), mm_block_size(p));
        HEAP_SAME(heaps[!h], &other, 0);
        blocks[h][counts[h]++] = p;
    }
    HEAP_SOUND(heaps[0]);
    HEAP_SOUND(heaps[1]);
    for (size_t h = 0; h < 2; h++) {
        heap_state other = heap_freeze(heaps[!h]);
        for (size_t i = 0; i < counts[h]; i++) {
            CHECK_EQ(*(unsigned char *)blocks[h][i], h + 1);
            mm_free(heaps[h], blocks[h][i]);
        }
        HEAP_SAME(heaps[!h], &other, 0);
        HEAP_SAME_SHAPE(heaps[h], &fresh[h]);
    }
}

TEST(C, one_heaps_pool_is_no_pool_of_the_other) {
    mm_allocator_t *heap = heap_new(512), *other = heap_new(512);
    heap_state before = heap_freeze(heap), others = heap_freeze(other);
    CHECK_NULL(mm_next_pool(heap, mm_get_pool(other)));
    CHECK_EQ(mm_remove_pool(heap, mm_get_pool(other)), 0);
    CHECK_EQ(mm_extend_pool(heap, mm_get_pool(other), 64), 0);
    void *p = mm_malloc(other, 100);
    CHECK_NULL(mm_get_pool_for_ptr(heap, p));
    CHECK_PTR(mm_get_pool_for_ptr(other, p), mm_get_pool(other));
    mm_free(other, p);
    HEAP_SAME(heap, &before, 0);
    HEAP_SAME_SHAPE(other, &others);
}
