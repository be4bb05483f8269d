/* Group E: fit. A block that is large enough is found: own-bin head first, then the rounded-up
 * search; `largest` is exact. */
#include "support/heap.h"

/* One control structure and one region serve every exact pool of a test. */
static unsigned char *control, *region;

/* A pool of exactly one block of n bytes yields it. */
static void exact(size_t n) {
    mm_allocator_t *heap = mm_create(control);
    suite_context("n = %zu", n);
    CHECK(mm_add_pool(heap, region, region_for(n)) != NULL);
    mm_stats_t stats = heap_stats(heap);
    CHECK_EQ(stats.largest, usable_for(n));
    unsigned char *p = mm_malloc(heap, n);
    CHECK(p != NULL);
    CHECK_EQ(mm_block_size(p), usable_for(n));
    p[0] = p[n - 1] = 1;
    stats = heap_stats(heap);
    CHECK_EQ(stats.free, 0);
    CHECK_EQ(stats.largest, 0);
    CHECK_NULL(mm_malloc(heap, 1));
    mm_free(heap, p);
    CHECK_EQ(heap_stats(heap).largest, usable_for(n));
    p = mm_memalign(heap, QUANTUM, n);
    CHECK(p != NULL);
    mm_free(heap, p);
    CHECK_NULL(mm_malloc(heap, usable_for(n) + 1));
    CHECK(mm_validate(heap));
}

TEST(E, an_exact_pool_for_every_size_from_16_to_65536) {
    control = suite_memory(QUANTUM, mm_size());
    region = suite_memory(QUANTUM, region_for(65536));
    for (size_t n = 16; n <= 65536; n += 8) exact(n);
}

TEST(E, an_exact_pool_around_every_power_of_two) {
    unsigned top = IS_64_BIT ? 40 : 29;
    size_t bytes = region_for(POWER(top)) + 4096;
    control = suite_memory(QUANTUM, mm_size());
    region = heap_address_space(bytes);
    for (unsigned k = 5; k <= top; k++)
        for (int d = -24; d <= 24; d += 8) {
            size_t n = POWER(k) + (size_t)d;
            if (n <= mm_block_size_max()) exact(n);
        }
    heap_unmap(region, bytes);
}

/* Every 1/64 of a power of two covers the edges of any second level up to 64. */
TEST(E, an_exact_pool_around_every_bin_edge) {
    unsigned top = IS_64_BIT ? 36 : 28;
    size_t bytes = region_for(POWER(top + 1)) + 4096;
    control = suite_memory(QUANTUM, mm_size());
    region = heap_address_space(bytes);
    for (unsigned k = 10; k <= top; k++)
        for (size_t j = 0; j < 64; j++)
            for (int d = -8; d <= 8; d += 8) {
                size_t edge = POWER(k) + j * (POWER(k) / 64);
                exact(edge + (size_t)d);
                exact(edge + (size_t)d - HEADER);
            }
    heap_unmap(region, bytes);
}

/* Allocates all that is left. */
static void use_up(mm_allocator_t *heap) {
    size_t largest;
    while ((largest = heap_stats(heap).largest) != 0) CHECK(mm_malloc(heap, largest) != NULL);
    CHECK_EQ(heap_stats(heap).free, 0);
}

TEST(E, a_freed_block_of_any_size_is_found_again) {
    mm_allocator_t *heap = heap_new((size_t)1 << 20);
    for (size_t n = 1; n < (size_t)1 << 19; n += n < 2000 ? 1 : n / 37) {
        CHECK_EQ(mm_reset(heap), 1);
        suite_context("n = %zu", n);
        void *lead = mm_malloc(heap, 40), *p = mm_malloc(heap, n);
        CHECK(lead && p);
        use_up(heap);
        mm_free(heap, p);
        void *q = mm_malloc(heap, n);
        CHECK_PTR(q, p);
        CHECK_NULL(mm_malloc(heap, 1));
    }
    HEAP_SOUND(heap);
}

TEST(E, a_freed_block_is_found_for_its_usable_size) {
    mm_allocator_t *heap = heap_new((size_t)1 << 20);
    for (size_t n = 1; n < (size_t)1 << 19; n += n < 2000 ? 13 : n / 17) {
        CHECK_EQ(mm_reset(heap), 1);
        suite_context("n = %zu", n);
        void *p = mm_malloc(heap, n);
        size_t usable = mm_block_size(p);
        use_up(heap);
        mm_free(heap, p);
        CHECK_EQ(heap_stats(heap).largest, usable);
        CHECK_NULL(mm_malloc(heap, usable + 1));
        CHECK_PTR(mm_malloc(heap, usable), p);
    }
}

TEST(E, alloc_576_and_648_of_50331648_then_720) {
    size_t bytes = 50331648;
    unsigned char *space = heap_address_space(bytes);
    mm_allocator_t *heap = heap_over(space, bytes);
    heap_state fresh = heap_freeze(heap);
    void *p = mm_malloc(heap, 576), *q = mm_malloc(heap, 648);
    CHECK_BLOCK(p, 576);
    CHECK_BLOCK(q, 648);
    mm_free(heap, p);
    mm_free(heap, q);
    HEAP_SAME_SHAPE(heap, &fresh);
    CHECK_BLOCK(mm_malloc(heap, 720), 720);
    HEAP_SOUND(heap);
    heap_unmap(space, bytes);
}

TEST(E, alloc_576_and_648_with_nothing_else_free) {
    mm_allocator_t *heap = heap_new((size_t)1 << 16);
    void *p = mm_malloc(heap, 576), *q = mm_malloc(heap, 648);
    use_up(heap);
    mm_free(heap, p);
    mm_free(heap, q);
    CHECK_PTR(mm_malloc(heap, 720), p);
    HEAP_SOUND(heap);
}

/* `largest` succeeds; one byte and one quantum more do not. */
static void largest_is_exact(mm_allocator_t *heap) {
    size_t largest = heap_stats(heap).largest;
    if (largest) {
        void *p = mm_malloc(heap, largest);
        CHECK(p != NULL);
        CHECK_GE(mm_block_size(p), largest);
        mm_free(heap, p);
        CHECK_EQ(heap_stats(heap).largest, largest);
    }
    CHECK_NULL(mm_malloc(heap, largest + 1));
    CHECK_NULL(mm_malloc(heap, largest + QUANTUM));
}

TEST(E, largest_is_exact_after_every_operation) {
    for (unsigned seed = 0; seed < 8; seed++) {
        suite_random random = suite_seeded(seed);
        mm_allocator_t *heap = heap_new((size_t)60000 + 1000 * seed);
        mm_add_pool(heap, suite_memory(QUANTUM, 20000), 20000);
        void *blocks[120] = {0};
        size_t spread = (size_t)64 << seed;
        for (size_t turn = 0; turn < 2500; turn++) {
            size_t i = suite_below(&random, 120), n = suite_below(&random, spread) + 1;
            suite_context("seed %u, turn %zu", seed, turn);
            if (!blocks[i]) {
                blocks[i] = turn % 5 ? mm_malloc(heap, n) : mm_memalign(heap, 64, n);
            } else if (turn % 3) {
                mm_free(heap, blocks[i]);
                blocks[i] = NULL;
            } else {
                void *p = mm_realloc(heap, blocks[i], n);
                if (p) blocks[i] = p;
            }
            largest_is_exact(heap);
        }
        HEAP_SOUND(heap);
    }
}

/* A request never fails while the head of its own bin is large enough, nor while a block of a
 * higher bin is free. */
TEST(E, no_refusal_while_the_largest_fits) {
    suite_random random = suite_seeded(11);
    mm_allocator_t *heap = heap_new((size_t)1 << 18);
    void *blocks[300] = {0};
    size_t refusals = 0;
    for (size_t turn = 0; turn < 20000; turn++) {
        size_t i = suite_below(&random, 300), n = suite_below(&random, 3000) + 1;
        suite_context("turn %zu", turn);
        if (blocks[i]) {
            mm_free(heap, blocks[i]);
            blocks[i] = NULL;
            continue;
        }
        size_t largest = heap_stats(heap).largest;
        blocks[i] = mm_malloc(heap, n);
        if (n <= largest) CHECK(blocks[i] != NULL);
        if (n > largest) CHECK_NULL(blocks[i]);
        refusals += blocks[i] == NULL;
    }
    CHECK_EQ(heap_stats(heap).failed_requests, refusals);
    CHECK(refusals > 0);
    HEAP_SOUND(heap);
}

/* At most 1/32 of a request is kept beyond what rounding costs. */
TEST(E, waste_is_bounded) {
    mm_allocator_t *heap = heap_new((size_t)1 << 22);
    for (size_t n = 1; n < (size_t)1 << 20; n += n < 5000 ? 1 : n / 101) {
        void *p = mm_malloc(heap, n);
        CHECK_BLOCK(p, n);
        mm_free(heap, p);
    }
}
