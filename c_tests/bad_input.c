/* Bad input: every NULL, zero, misaligned, overlapping, too small, overflowing or odd argument gets
 * the contract's answer, and the heap is the same before and after. Sizes and alignments: groups A
 * and B; pools: group C. */
#include "support/heap.h"

static void never(void *block, size_t size, int used, void *user) {
    (void)block, (void)size, (void)used;
    *(int *)user = 1;
}

/* Every call of the handle API with a NULL handle: NULL, 0 or nothing. */
TEST(input, null_handle) {
    unsigned char *memory = suite_memory(QUANTUM, 4096), block[64];
    mm_stats_t stats;
    mm_violation_t violation;
    mm_cursor_t cursor;
    int called = 0;
    memset(&cursor, 0, sizeof cursor);
    memset(&stats, 0x5A, sizeof stats);
    fill(memory, 4096, 1);
    fill(block, sizeof block, 2);
    mm_destroy(NULL);
    CHECK_EQ(mm_reset(NULL), 0);
    CHECK_NULL(mm_add_pool(NULL, memory, 4096));
    CHECK_EQ(mm_extend_pool(NULL, NULL, 4096), 0);
    CHECK_EQ(mm_remove_pool(NULL, memory), 0);
    CHECK_EQ(mm_remove_pool(NULL, NULL), 0);
    CHECK_NULL(mm_get_pool(NULL));
    CHECK_NULL(mm_next_pool(NULL, NULL));
    CHECK_NULL(mm_get_pool_for_ptr(NULL, memory));
    CHECK_NULL(mm_get_pool_for_ptr(NULL, NULL));
    CHECK_NULL(mm_malloc(NULL, 10));
    CHECK_NULL(mm_malloc(NULL, 0));
    CHECK_NULL(mm_malloc(NULL, SIZE_MAX));
    CHECK_NULL(mm_calloc(NULL, 1, 10));
    CHECK_NULL(mm_memalign(NULL, 64, 10));
    CHECK_NULL(mm_memalign(NULL, 0, 10));
    CHECK_NULL(mm_realloc(NULL, block + 16, 10));
    CHECK_NULL(mm_realloc(NULL, NULL, 10));
    CHECK_NULL(mm_realloc(NULL, block + 16, 0));
    CHECK_NULL(mm_realloc_aligned(NULL, block + 16, 64, 10));
    CHECK_NULL(mm_realloc_aligned(NULL, NULL, 64, 10));
    mm_free(NULL, block + 16);
    mm_free(NULL, NULL);
    CHECK_EQ(mm_block_size(NULL), 0);
    mm_walk_pool(NULL, never, &called);
    CHECK_EQ(called, 0);
    /* NULL is not a sound heap: the validators give 0. Where 0 means sound, the call is only
     * made. */
    CHECK_EQ(mm_validate(NULL), 0);
    CHECK_EQ(mm_validate_pool(NULL), 0);
    CHECK_EQ(mm_validate_step(NULL, &cursor, 10), 0);
    CHECK_EQ(mm_validate_step(NULL, NULL, 10), 0);
    (void)mm_check(NULL);
    (void)mm_check_pool(NULL);
    (void)mm_diagnose(NULL, &violation);
    (void)mm_diagnose(NULL, NULL);
    CHECK_EQ(mm_stats(NULL, &stats, sizeof stats), 0);
    CHECK_EQ(mm_stats(NULL, NULL, 0), 0);
    mm_set_error_handler(NULL, NULL, NULL);
    CHECK_NULL(mm_create(NULL));
    CHECK_NULL(mm_create_with_pool(NULL, 1 << 20));
    CHECK_NULL(mm_create_with_pool(NULL, 0));
    CHECK_NULL(mm_create_for(NULL, 1000));
    CHECK_FILLED(memory, 4096, 1);
    CHECK_FILLED(block, sizeof block, 2);
}

static mm_allocator_t *heap;
static unsigned char *kept;
static heap_state before;

static void begin(void) {
    suite_release();
    heap = heap_new(4096);
    kept = mm_malloc(heap, 100);
    CHECK(mm_malloc(heap, 300) != NULL);
    fill(kept, 100, 6);
    before = heap_freeze(heap);
}

static void unchanged(void) {
    HEAP_SAME(heap, &before, 0);
    HEAP_SOUND(heap);
    CHECK_FILLED(kept, 100, 6);
}

TEST(input, null_arguments_of_a_live_handle) {
    begin();
    CHECK_NULL(mm_add_pool(heap, NULL, 4096));
    CHECK_NULL(mm_add_pool(heap, NULL, 0));
    CHECK_NULL(mm_add_pool(heap, NULL, SIZE_MAX));
    CHECK_EQ(mm_extend_pool(heap, NULL, 4096), 0);
    CHECK_EQ(mm_remove_pool(heap, NULL), 0);
    CHECK_NULL(mm_next_pool(heap, NULL));
    CHECK_NULL(mm_get_pool_for_ptr(heap, NULL));
    mm_free(heap, NULL);
    mm_walk_pool(mm_get_pool(heap), NULL, NULL);
    CHECK_EQ(mm_validate_step(heap, NULL, 10), 0);
    CHECK_EQ(mm_diagnose(heap, NULL), 0);
    CHECK_EQ(mm_stats(heap, NULL, sizeof(mm_stats_t)), 0);
    CHECK_EQ(mm_stats(heap, NULL, 0), 0);
    unchanged();
}

TEST(input, zero_sizes) {
    begin();
    unsigned char *memory = suite_memory(QUANTUM, 4096);
    CHECK_NULL(mm_malloc(heap, 0));
    CHECK_NULL(mm_calloc(heap, 0, 0));
    CHECK_NULL(mm_calloc(heap, 0, 8));
    CHECK_NULL(mm_calloc(heap, 8, 0));
    CHECK_NULL(mm_memalign(heap, 8, 0));
    CHECK_NULL(mm_memalign(heap, 0, 0));
    CHECK_NULL(mm_realloc(heap, NULL, 0));
    CHECK_NULL(mm_realloc_aligned(heap, NULL, 8, 0));
    CHECK_NULL(mm_add_pool(heap, memory, 0));
    CHECK_NULL(mm_create_with_pool(memory, 0));
    CHECK_EQ(mm_extend_pool(heap, mm_get_pool(heap), 0), 0);
    unchanged();
}

TEST(input, misaligned_control) {
    unsigned char *memory = suite_memory(64, mm_size() + 64);
    fill(memory, mm_size() + 64, 3);
    for (size_t offset = 1; offset < 64; offset++)
        if (offset % sizeof(void *)) {
            CHECK_NULL(mm_create(memory + offset));
            CHECK_NULL(mm_create_for(memory + offset, 1000));
        }
    CHECK_FILLED(memory, mm_size() + 64, 3);
}

TEST(input, overlapping_pools) {
    begin();
    unsigned char *pool = (unsigned char *)kept - (mm_pool_overhead() - HEADER);
    size_t bytes = region_for(4096);
    CHECK_NULL(mm_add_pool(heap, pool, bytes));
    CHECK_NULL(mm_add_pool(heap, pool + 8, bytes - 8));
    CHECK_NULL(mm_add_pool(heap, kept, 100));
    CHECK_NULL(mm_add_pool(heap, pool + bytes - 8, 4096));
    CHECK_NULL(mm_add_pool(heap, heap, mm_size()));
    CHECK_NULL(mm_add_pool(heap, (unsigned char *)heap + 64, 1024));
    unchanged();
}

TEST(input, too_small_pools) {
    begin();
    unsigned char *memory = suite_memory(QUANTUM, 4096);
    fill(memory, 4096, 3);
    for (size_t bytes = 0; bytes < mm_pool_overhead() + MIN_USABLE; bytes++)
        for (size_t offset = 0; offset < QUANTUM; offset++)
            CHECK_NULL(mm_add_pool(heap, memory + offset, bytes));
    CHECK_FILLED(memory, 4096, 3);
    unchanged();
}

TEST(input, overflowing_pools) {
    begin();
    unsigned char *memory = suite_memory(QUANTUM, 4096);
    fill(memory, 4096, 3);
    /* These regions reach the top of the address space without wrapping: too small for a pool. */
    for (size_t k = 0; k < mm_pool_overhead(); k++) {
        CHECK_NULL(mm_add_pool(heap, memory, SIZE_MAX - k));
        CHECK_NULL(mm_add_pool(heap, (void *)(UINTPTR_MAX - k), k));
        CHECK_NULL(mm_add_pool(heap, (void *)(UINTPTR_MAX - k), k + 1));
        CHECK_NULL(mm_add_pool(heap, (void *)(UINTPTR_MAX - k), k + 2));
        CHECK_NULL(mm_add_pool(heap, (void *)(UINTPTR_MAX - k), 4096));
        CHECK_EQ(mm_extend_pool(heap, mm_get_pool(heap), SIZE_MAX - k), 0);
        CHECK_NULL(mm_create_with_pool((void *)(UINTPTR_MAX / QUANTUM * QUANTUM - QUANTUM * k),
                                       SIZE_MAX - k));
    }
    CHECK_FILLED(memory, 4096, 3);
    unchanged();
}

TEST(input, alignments_that_are_no_power_of_two) {
    begin();
    for (size_t align = 0; align <= 4100; align++) {
        if (align && (align & (align - 1)) == 0) continue;
        suite_context("align %zu", align);
        CHECK_NULL(mm_memalign(heap, align, 10));
        CHECK_NULL(mm_realloc_aligned(heap, NULL, align, 10));
        CHECK_NULL(mm_realloc_aligned(heap, kept, align, 50));
        CHECK_NULL(mm_realloc_aligned(heap, kept, align, 200));
    }
    for (unsigned k = 2; k < WORD_BITS; k++) {
        CHECK_NULL(mm_memalign(heap, POWER(k) + 1, 10));
        CHECK_NULL(mm_memalign(heap, POWER(k) - 1, 10));
        CHECK_NULL(mm_memalign(heap, SIZE_MAX - POWER(k), 10));
    }
    unchanged();
}

TEST(input, pools_of_another_heap) {
    mm_allocator_t *other;
    begin();
    other = heap_new(1024);
    heap_state others = heap_freeze(other);
    CHECK_EQ(mm_remove_pool(heap, mm_get_pool(other)), 0);
    CHECK_EQ(mm_extend_pool(heap, mm_get_pool(other), 64), 0);
    CHECK_NULL(mm_next_pool(heap, mm_get_pool(other)));
    HEAP_SAME(other, &others, 0);
    unchanged();
}

TEST(input, stats_structs_of_other_sizes) {
    begin();
    unsigned char bytes[3 * sizeof(mm_stats_t)];
    mm_stats_t whole = heap_stats(heap);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        memset(bytes, 0xA5, sizeof bytes);
        suite_context("size %zu", size);
        CHECK_EQ(mm_stats(heap, (mm_stats_t *)(void *)bytes, size), 1);
        size_t known = size < sizeof whole ? size : sizeof whole;
        /* Whole fields, or a part of one: never a byte beyond the caller's struct. */
        CHECK_EQ(memcmp(bytes, &whole, known / sizeof(size_t) * sizeof(size_t)), 0);
        for (size_t i = size; i < sizeof bytes; i++) CHECK_EQ(bytes[i], 0xA5);
    }
    unchanged();
}

TEST(input, limits_for_create_for) {
    static const size_t beyond[] = {SIZE_MAX, SIZE_MAX - 8, SIZE_MAX / 2 + 64};
    unsigned char *memory = suite_memory(QUANTUM, mm_size());
    fill(memory, mm_size(), 4);
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        CHECK_EQ(mm_size_for(beyond[i]), 0);
        CHECK_NULL(mm_create_for(memory, beyond[i]));
    }
    CHECK_FILLED(memory, mm_size(), 4);
    /* A control structure for requests up to 0 bytes is large enough for the smallest block. */
    for (size_t max = 0; max < 40; max++) {
        mm_allocator_t *tiny = heap_bare_for(max);
        CHECK(mm_add_pool(tiny, suite_memory(QUANTUM, 256), 256) != NULL);
        CHECK(mm_malloc(tiny, max ? max : 1) != NULL);
        HEAP_SOUND(tiny);
    }
}
