/* Group A: size arithmetic. Every request up to SIZE_MAX returns NULL or a block that holds it;
 * nothing wraps. */
#include "support/heap.h"

#define USABLE 4096

static mm_allocator_t *heap;
static unsigned char *kept; /* a live block, to see that refused calls leave it alone */
static size_t kept_size;

static void begin(void) {
    heap = heap_new(USABLE);
    kept = mm_malloc(heap, 200);
    CHECK_BLOCK(kept, 200);
    kept_size = mm_block_size(kept);
    fill(kept, kept_size, 7);
}

/* Every call refuses n bytes and changes nothing but the failure counter. */
static void refused(size_t n) {
    heap_state before = heap_freeze(heap);
    suite_context("n = SIZE_MAX - %zu = %zu", SIZE_MAX - n, n);
    CHECK_NULL(mm_malloc(heap, n));
    HEAP_SAME(heap, &before, 1);
    CHECK_NULL(mm_calloc(heap, 1, n));
    CHECK_NULL(mm_calloc(heap, n, 1));
    HEAP_SAME(heap, &before, 3);
    CHECK_NULL(mm_realloc(heap, kept, n));
    HEAP_SAME(heap, &before, 4);
    CHECK_NULL(mm_realloc(heap, NULL, n));
    HEAP_SAME(heap, &before, 5);
    CHECK_NULL(mm_memalign(heap, 1, n));
    CHECK_NULL(mm_memalign(heap, QUANTUM, n));
    CHECK_NULL(mm_memalign(heap, 64, n));
    CHECK_NULL(mm_memalign(heap, 4096, n));
    HEAP_SAME(heap, &before, 9);
    CHECK_NULL(mm_realloc_aligned(heap, kept, 64, n));
    CHECK_NULL(mm_realloc_aligned(heap, NULL, 64, n));
    HEAP_SAME(heap, &before, 11);
    CHECK_EQ(mm_block_size(kept), kept_size);
    CHECK_FILLED(kept, kept_size, 7);
}

/* Every call allocates n bytes. */
static void served(size_t n) {
    heap_state before = heap_freeze(heap);
    suite_context("n = %zu", n);
    for (int call = 0; call < 6; call++) {
        unsigned char *p = call == 0   ? mm_malloc(heap, n)
                           : call == 1 ? mm_calloc(heap, 1, n)
                           : call == 2 ? mm_calloc(heap, n, 1)
                           : call == 3 ? mm_realloc(heap, NULL, n)
                           : call == 4 ? mm_memalign(heap, QUANTUM, n)
                                       : mm_realloc_aligned(heap, NULL, 1, n);
        CHECK_BLOCK(p, n);
        if (call == 1 || call == 2)
            for (size_t i = 0; i < n; i++) CHECK_EQ(p[i], 0);
        memset(p, 0xEE, mm_block_size(p));
        HEAP_SOUND(heap);
        mm_free(heap, p);
        HEAP_SAME_SHAPE(heap, &before);
    }
    unsigned char *p = mm_malloc(heap, 60);
    fill(p, 60, 3);
    p = mm_realloc(heap, p, n);
    CHECK_BLOCK(p, n);
    CHECK_FILLED(p, n < 60 ? n : 60, 3);
    mm_free(heap, p);
    HEAP_SAME_SHAPE(heap, &before);
    CHECK_FILLED(kept, kept_size, 7);
}

TEST(A, size_max_minus_0_to_64) {
    begin();
    for (size_t k = 0; k <= 64; k++) refused(SIZE_MAX - k);
}

TEST(A, half_of_size_max) {
    begin();
    refused(SIZE_MAX / 2);
    refused(SIZE_MAX / 2 - 7);
    refused(SIZE_MAX / 4);
}

TEST(A, top_bit_and_8_around) {
    begin();
    refused(TOP_BIT);
    refused(TOP_BIT - 8);
    refused(TOP_BIT + 8);
}

TEST(A, around_2_to_the_32) {
    begin();
    if (IS_64_BIT) {
        refused(POWER(32) - 8);
        refused(POWER(32));
        refused(POWER(32) + 64);
        refused(POWER(33));
    }
    refused((size_t)UINT32_MAX - 7);
}

TEST(A, around_2_to_the_31) {
    begin();
    refused(POWER(31) - 1);
    refused(POWER(31));
    refused(POWER(31) + 1);
}

TEST(A, around_block_size_max) {
    begin();
    size_t max = mm_block_size_max();
    CHECK_GE(max, IS_64_BIT ? POWER(40) : POWER(30));
    refused(max - 8);
    refused(max);
    refused(max + 1);
    refused(max + 8);
}

TEST(A, every_power_of_two_beyond_the_pool) {
    begin();
    for (unsigned k = 13; k < WORD_BITS; k++) {
        refused(POWER(k) - 1);
        refused(POWER(k));
        refused(POWER(k) + 1);
    }
}

TEST(A, just_beyond_what_is_free) {
    begin();
    size_t largest = heap_stats(heap).largest;
    heap_state before = heap_freeze(heap);
    for (size_t k = 1; k <= 64; k++) {
        suite_context("largest + %zu", k);
        CHECK_NULL(mm_malloc(heap, largest + k));
        CHECK_NULL(mm_calloc(heap, 1, largest + k));
        CHECK_NULL(mm_memalign(heap, 64, largest + k));
        CHECK_NULL(mm_realloc(heap, NULL, largest + k));
        /* All free memory lies directly after the live block. */
        CHECK_NULL(mm_realloc(heap, kept, kept_size + HEADER + largest + k));
    }
    HEAP_SAME(heap, &before, 5 * 64);
    CHECK_FILLED(kept, kept_size, 7);
}

TEST(A, zero) {
    begin();
    heap_state before = heap_freeze(heap);
    CHECK_NULL(mm_malloc(heap, 0));
    CHECK_NULL(mm_calloc(heap, 0, 1));
    CHECK_NULL(mm_calloc(heap, 1, 0));
    CHECK_NULL(mm_calloc(heap, 0, 0));
    CHECK_NULL(mm_memalign(heap, 64, 0));
    CHECK_NULL(mm_realloc(heap, NULL, 0));
    CHECK_NULL(mm_realloc_aligned(heap, NULL, 64, 0));
    /* A size of zero is not counted as a failed request. */
    HEAP_SAME(heap, &before, 0);
}

TEST(A, small_sizes) {
    static const size_t sizes[] = {1,  2,  3,  4,  7,  8,  9,  11, 12, 13, 15, 16, 17,
                                   19, 20, 21, 23, 24, 25, 31, 32, 33, 39, 40, 41};
    begin();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) served(sizes[i]);
}

TEST(A, every_size_up_to_the_pool) {
    begin();
    size_t largest = heap_stats(heap).largest;
    for (size_t n = 1; n <= largest; n += n < 300 ? 1 : 13) {
        suite_context("n = %zu", n);
        void *p = mm_malloc(heap, n);
        CHECK_BLOCK(p, n);
        memset(p, 0xEE, mm_block_size(p));
        mm_free(heap, p);
    }
    void *p = mm_malloc(heap, largest);
    CHECK_BLOCK(p, largest);
    mm_free(heap, p);
    HEAP_SOUND(heap);
}

TEST(A, constants) {
    CHECK_EQ(QUANTUM, 2 * sizeof(void *));
    CHECK_EQ(HEADER, sizeof(void *));
    CHECK_EQ(MIN_USABLE, 3 * sizeof(void *));
    CHECK(mm_size() > 0);
    CHECK_LE(mm_pool_overhead(), 8 * sizeof(void *));
    /* A block of at least 1 TiB. */
    if (IS_64_BIT) CHECK_GE(mm_block_size_max(), POWER(40));
    CHECK_LE(mm_block_size_max(), SIZE_MAX / 2 + 1);
}

static void calloc_refused(size_t count, size_t size) {
    heap_state before = heap_freeze(heap);
    suite_context("calloc(%zu, %zu)", count, size);
    CHECK_NULL(mm_calloc(heap, count, size));
    HEAP_SAME(heap, &before, 1);
}

TEST(A, calloc_products_that_wrap) {
    begin();
    calloc_refused(TOP_BIT, 2);
    calloc_refused(2, TOP_BIT);
    calloc_refused(POWER(WORD_BITS / 2), POWER(WORD_BITS / 2));
    calloc_refused(SIZE_MAX, 1);
    calloc_refused(1, SIZE_MAX);
    calloc_refused(SIZE_MAX, SIZE_MAX);
    calloc_refused(SIZE_MAX / 2 + 1, 2);
    calloc_refused(SIZE_MAX / 3 + 1, 3);
    /* Products that wrap to something small. */
    calloc_refused(TOP_BIT + 1, 2);
    calloc_refused(POWER(WORD_BITS / 2) + 1, POWER(WORD_BITS / 2));
    calloc_refused(SIZE_MAX / 16 + 2, 16);
}

TEST(A, calloc_with_a_zero) {
    static const size_t others[] = {0, 1, 24, SIZE_MAX / 2, SIZE_MAX};
    begin();
    heap_state before = heap_freeze(heap);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        CHECK_NULL(mm_calloc(heap, 0, others[i]));
        CHECK_NULL(mm_calloc(heap, others[i], 0));
    }
    HEAP_SAME(heap, &before, 0);
}

TEST(A, calloc_clears_what_was_used_before) {
    begin();
    size_t largest = heap_stats(heap).largest;
    void *p = mm_malloc(heap, largest);
    memset(p, 0xFF, mm_block_size(p));
    mm_free(heap, p);
    for (size_t n = 1; n < 1500; n += 7) {
        suite_context("n = %zu", n);
        unsigned char *q = mm_calloc(heap, n % 5 + 1, n);
        if (n * (n % 5 + 1) > largest) {
            CHECK_NULL(q);
            continue;
        }
        CHECK_BLOCK(q, n * (n % 5 + 1));
        for (size_t i = 0; i < n * (n % 5 + 1); i++) CHECK_EQ(q[i], 0);
        memset(q, 0xFF, mm_block_size(q));
        mm_free(heap, q);
    }
    HEAP_SOUND(heap);
}

/* The requests that TLSF 3.1 gets wrong succeed where there is room for them. */
TEST_64(A, requests_over_4_gib_in_a_16_gib_pool) {
    size_t bytes = POWER(34);
    static const size_t extra[] = {(size_t)-8, 0, 1, 8, 64};
    unsigned char *region = heap_address_space(bytes);
    heap = heap_over(region, bytes);
    heap_state before = heap_freeze(heap);
    for (unsigned k = 31; k < 34; k++)
        for (size_t i = 0; i < sizeof extra / sizeof *extra; i++) {
            size_t n = POWER(k) + extra[i];
            suite_context("n = 2^%u + %zd", k, (ssize_t)extra[i]);
            unsigned char *p = mm_malloc(heap, n);
            CHECK_BLOCK(p, n);
            p[0] = p[n - 1] = 1;
            CHECK(p >= region && p + n <= region + bytes);
            /* Grown over 2^33, the block has that size, not 0. */
            unsigned char *q = mm_realloc(heap, p, POWER(33) + 100);
            CHECK_PTR(q, p);
            CHECK_GE(mm_block_size(q), POWER(33) + 100);
            HEAP_SOUND(heap);
            mm_free(heap, q);
            p = mm_memalign(heap, POWER(32), n > POWER(32) ? 1000 : n);
            CHECK(p != NULL);
            CHECK_EQ(misalignment(p, POWER(32)), 0);
            mm_free(heap, p);
            HEAP_SAME_SHAPE(heap, &before);
        }
    heap_unmap(region, bytes);
}

TEST_64(A, one_block_of_1_tib) {
    size_t bytes = region_for(POWER(40));
    unsigned char *region = heap_address_space(bytes);
    heap = heap_over(region, bytes);
    CHECK_GE(heap_stats(heap).largest, POWER(40));
    unsigned char *p = mm_malloc(heap, POWER(40));
    CHECK(p != NULL);
    CHECK_GE(mm_block_size(p), POWER(40));
    p[0] = p[POWER(40) - 1] = 1;
    HEAP_SOUND(heap);
    CHECK_NULL(mm_malloc(heap, 1));
    mm_free(heap, p);
    HEAP_SOUND(heap);
    heap_unmap(region, bytes);
}
