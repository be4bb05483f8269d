/* Group B: alignment. Any power of two is honoured or refused; the gap in front of an aligned block
 * is a block of its own or nothing, and is merged again when the block is freed. */
#include "support/heap.h"

static mm_allocator_t *heap;

static void begin(size_t usable) {
    suite_release();
    heap = heap_new(usable);
}

static void refused(size_t align, size_t n, size_t counted) {
    heap_state before = heap_freeze(heap);
    suite_context("memalign(%zu, %zu)", align, n);
    CHECK_NULL(mm_memalign(heap, align, n));
    HEAP_SAME(heap, &before, counted);
    CHECK_NULL(mm_realloc_aligned(heap, NULL, align, n));
    HEAP_SAME(heap, &before, 2 * counted);
}

static void served(size_t align, size_t n) {
    heap_state before = heap_freeze(heap);
    suite_context("memalign(%zu, %zu)", align, n);
    unsigned char *p = mm_memalign(heap, align, n);
    CHECK_BLOCK(p, n);
    CHECK_EQ(misalignment(p, align), 0);
    fill(p, mm_block_size(p), 5);
    HEAP_SOUND(heap);
    CHECK_FILLED(p, mm_block_size(p), 5);
    mm_free(heap, p);
    HEAP_SAME_SHAPE(heap, &before);
}

TEST(B, no_power_of_two) {
    static const size_t aligns[] = {
        0, 3, 5, 6, 7, 9, 12, 24, 48, 100, 4095, 4097, SIZE_MAX, SIZE_MAX / 2, SIZE_MAX - 1};
    static const size_t sizes[] = {0, 1, 24, 1000, SIZE_MAX};
    begin(1 << 16);
    for (size_t i = 0; i < sizeof aligns / sizeof *aligns; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) refused(aligns[i], sizes[j], 0);
}

TEST(B, size_zero) {
    begin(1 << 16);
    for (unsigned k = 0; k < WORD_BITS; k++) refused(POWER(k), 0, 0);
}

TEST(B, powers_of_two_that_fit) {
    static const size_t sizes[] = {1, 24, 1000, 4096};
    begin((size_t)4 << 20);
    for (unsigned k = 0; k <= 20; k++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) served(POWER(k), sizes[j]);
}

TEST(B, powers_of_two_beyond_the_pool) {
    static const size_t sizes[] = {1, 24, 1000};
    begin(1 << 16);
    for (unsigned k = 31; k < WORD_BITS; k++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            /* The pool may happen to have such an address. */
            heap_state before = heap_freeze(heap);
            suite_context("memalign(2^%u, %zu)", k, sizes[j]);
            void *p = mm_memalign(heap, POWER(k), sizes[j]);
            if (p) {
                CHECK_EQ(misalignment(p, POWER(k)), 0);
                mm_free(heap, p);
                HEAP_SAME_SHAPE(heap, &before);
            } else {
                HEAP_SAME(heap, &before, 1);
            }
        }
}

TEST(B, align_plus_size_around_size_max) {
    static const size_t small[] = {1, 2, 8, 16, 32, 64, 4096, (size_t)1 << 20, (size_t)1 << 30};
    begin(1 << 16);
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        for (size_t k = 0; k <= 24 + small[i] && k <= 48; k++)
            refused(small[i], SIZE_MAX - small[i] - 24 + k, 1);
    for (unsigned k = 31; k < WORD_BITS; k++) {
        refused(POWER(k), SIZE_MAX - POWER(k), 1);
        refused(POWER(k), SIZE_MAX - POWER(k) + 1, 1);
        refused(POWER(k), SIZE_MAX, 1);
        refused(POWER(k), TOP_BIT, 1);
    }
}

TEST_64(B, two_to_the_31_in_an_8_gib_pool) {
    size_t bytes = POWER(33);
    unsigned char *region = heap_address_space(bytes);
    heap = heap_over(region, bytes);
    for (unsigned k = 20; k <= 32; k++) {
        served(POWER(k), 1);
        served(POWER(k), 1000);
    }
    heap_unmap(region, bytes);
}

/* The block after a live one of every size: the aligned place lies 0, 1, 2 … quanta further. */
static void gaps(size_t align) {
    begin(1 << 16);
    for (size_t lead = 1; lead <= 2 * align; lead += QUANTUM) {
        heap_state start = heap_freeze(heap);
        suite_context("align %zu, lead %zu", align, lead);
        unsigned char *before = mm_malloc(heap, lead);
        unsigned char *probe = mm_malloc(heap, 1);
        size_t distance = (align - misalignment(probe, align)) % align;
        mm_free(heap, probe);
        heap_state with_lead = heap_freeze(heap);
        unsigned char *p = mm_memalign(heap, align, 100);
        CHECK_BLOCK(p, 100);
        CHECK_EQ(misalignment(p, align), 0);
        HEAP_SOUND(heap);
        if (distance == 0 || distance >= MIN_USABLE + HEADER)
            CHECK_PTR(p, probe + distance);
        else
            CHECK_PTR(p, probe + distance + round_up(MIN_USABLE + HEADER - distance, align));
        size_t free_blocks = heap_walked(heap, 0).free_blocks;
        CHECK_EQ(free_blocks, with_lead.walk.free_blocks + (p != probe));
        if (p != probe) {
            /* The gap can be allocated. */
            size_t gap = (size_t)(p - probe) - HEADER;
            unsigned char *in_gap = mm_malloc(heap, gap);
            CHECK_PTR(in_gap, probe);
            memset(in_gap, 0xFF, mm_block_size(in_gap));
            HEAP_SOUND(heap);
            mm_free(heap, in_gap);
        }
        mm_free(heap, p);
        HEAP_SAME_SHAPE(heap, &with_lead);
        mm_free(heap, before);
        HEAP_SAME_SHAPE(heap, &start);
    }
}

TEST(B, gaps_of_0_8_16_24_and_more_align_16) {
    gaps(16);
}
TEST(B, gaps_of_0_8_16_24_and_more_align_32) {
    gaps(32);
}
TEST(B, gaps_of_0_8_16_24_and_more_align_64) {
    gaps(64);
}
TEST(B, gaps_of_0_8_16_24_and_more_align_256) {
    gaps(256);
}

TEST(B, every_size_from_1_to_4096_is_aligned) {
    begin((size_t)1 << 20);
    for (size_t n = 1; n <= 4096; n++) {
        suite_context("n = %zu", n);
        void *a = mm_malloc(heap, n), *b = mm_calloc(heap, 1, n), *c = mm_memalign(heap, 64, n);
        CHECK_BLOCK(a, n);
        CHECK_BLOCK(b, n);
        CHECK_BLOCK(c, n);
        CHECK_EQ(misalignment(c, 64), 0);
        a = mm_realloc(heap, a, n + 1);
        CHECK_BLOCK(a, n + 1);
        if (n % 64 == 0) HEAP_SOUND(heap);
        mm_free(heap, b);
        mm_free(heap, a);
        mm_free(heap, c);
    }
    HEAP_SOUND(heap);
    CHECK_EQ(heap_walked(heap, 0).blocks, 1);
}

TEST(B, any_c_type_may_live_in_a_block) {
    begin(4096);
    for (size_t n = 1; n <= 100; n++) {
        void *p = mm_malloc(heap, n);
        /* On 32-bit targets a quantum is 8, as the C library's own. */
        CHECK_EQ(misalignment(p, IS_64_BIT ? 16 : 8), 0);
        mm_free(heap, p);
    }
}

TEST(B, free_merges_the_gap_in_every_order) {
    for (int order = 0; order < 6; order++) {
        begin(1 << 14);
        heap_state start = heap_freeze(heap);
        suite_context("order %d", order);
        void *blocks[3] = {mm_malloc(heap, 40), mm_memalign(heap, 512, 40), mm_malloc(heap, 40)};
        for (int i = 0; i < 3; i++) {
            mm_free(heap, blocks[suite_orders[order][i]]);
            HEAP_SOUND(heap);
        }
        HEAP_SAME_SHAPE(heap, &start);
    }
}

TEST(B, many_aligned_blocks_fill_a_pool) {
    begin((size_t)1 << 20);
    heap_state start = heap_freeze(heap);
    void *blocks[256];
    size_t count = 0;
    while (count < 256) {
        void *p = mm_memalign(heap, 4096, 4096 - HEADER);
        if (!p) break;
        CHECK_EQ(misalignment(p, 4096), 0);
        fill(p, 4096 - HEADER, (unsigned)count);
        blocks[count++] = p;
    }
    /* 4 KiB blocks, header included, at 4 KiB places, leave no gaps between them. */
    CHECK_GE(count, 253);
    HEAP_SOUND(heap);
    for (size_t i = 0; i < count; i++) CHECK_FILLED(blocks[i], 4096 - HEADER, (unsigned)i);
    for (size_t i = 0; i < count; i += 2) mm_free(heap, blocks[i]);
    HEAP_SOUND(heap);
    for (size_t i = 1; i < count; i += 2) mm_free(heap, blocks[i]);
    HEAP_SAME_SHAPE(heap, &start);
}
