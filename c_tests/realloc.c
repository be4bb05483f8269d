/* Group G: realloc. In place forward, then backward, then by moving; a failing one changes nothing.
 * Contents are compared every time. */
#include "support/heap.h"

static mm_allocator_t *heap;
static unsigned char *a, *b, *c, *rest;

/* Three neighbours and the rest of the pool, everything in use and full of patterns. */
static void begin(size_t size_a, size_t size_b, size_t size_c) {
    suite_release();
    heap = heap_new(8192);
    a = mm_malloc(heap, size_a);
    b = mm_malloc(heap, size_b);
    c = mm_malloc(heap, size_c);
    rest = mm_malloc(heap, heap_stats(heap).largest);
    CHECK(a && b && c && rest);
    CHECK_EQ(heap_stats(heap).free, 0);
    CHECK(a < b && b < c && c < rest);
    fill(a, mm_block_size(a), 1);
    fill(b, mm_block_size(b), 2);
    fill(c, mm_block_size(c), 3);
    fill(rest, mm_block_size(rest), 4);
}

static void rest_is_intact(void) {
    CHECK_FILLED(rest, mm_block_size(rest), 4);
    HEAP_SOUND(heap);
}

TEST(G, null_allocates) {
    heap = heap_new(4096);
    for (size_t n = 1; n < 500; n++) {
        void *p = mm_realloc(heap, NULL, n), *q = mm_realloc_aligned(heap, NULL, 64, n);
        CHECK_BLOCK(p, n);
        CHECK_BLOCK(q, n);
        CHECK_EQ(misalignment(q, 64), 0);
        mm_free(heap, p);
        mm_free(heap, q);
    }
    HEAP_SOUND(heap);
}

TEST(G, zero_frees) {
    heap = heap_new(4096);
    heap_state fresh = heap_freeze(heap);
    void *p = mm_malloc(heap, 100), *q = mm_malloc(heap, 100);
    CHECK_NULL(mm_realloc(heap, p, 0));
    HEAP_SOUND(heap);
    CHECK_EQ(heap_stats(heap).live_blocks, 1);
    CHECK_NULL(mm_realloc_aligned(heap, q, 64, 0));
    HEAP_SAME_SHAPE(heap, &fresh);
    CHECK_EQ(heap_stats(heap).failed_requests, 0);
}

TEST(G, the_same_size_changes_nothing) {
    begin(100, 200, 300);
    heap_state before = heap_freeze(heap);
    CHECK_PTR(mm_realloc(heap, b, 200), b);
    CHECK_PTR(mm_realloc(heap, b, mm_block_size(b)), b);
    CHECK_PTR(mm_realloc(heap, a, 100), a);
    CHECK_PTR(mm_realloc(heap, rest, mm_block_size(rest)), rest);
    HEAP_SAME(heap, &before, 0);
}

/* A few bytes more or less, with free space after it or without. */
static void by_delta(ptrdiff_t delta) {
    for (size_t n = 40; n < 1500; n += n < 200 ? 1 : 61) {
        for (int room = 0; room < 2; room++) {
            suite_release();
            heap = heap_new(8192);
            suite_context("n = %zu, delta = %td, room %d", n, delta, room);
            unsigned char *p = mm_malloc(heap, n), *guard = NULL;
            if (!room) guard = mm_malloc(heap, 40);
            fill(p, n, 6);
            size_t wanted = (size_t)((ptrdiff_t)n + delta), usable = mm_block_size(p);
            unsigned char *q = mm_realloc(heap, p, wanted);
            CHECK_BLOCK(q, wanted);
            CHECK_FILLED(q, n < wanted ? n : wanted, 6);
            if (wanted <= usable || room) CHECK_PTR(q, p);
            HEAP_SOUND(heap);
            mm_free(heap, q);
            mm_free(heap, guard);
            HEAP_SOUND(heap);
            CHECK_EQ(heap_walked(heap, 0).blocks, 1);
        }
    }
}

TEST(G, plus_1) {
    by_delta(1);
}
TEST(G, minus_1) {
    by_delta(-1);
}
TEST(G, plus_8) {
    by_delta(8);
}
TEST(G, minus_8) {
    by_delta(-8);
}
TEST(G, plus_min) {
    by_delta((ptrdiff_t)MIN_USABLE);
}
TEST(G, minus_min) {
    by_delta(-(ptrdiff_t)MIN_USABLE);
}
TEST(G, plus_and_minus_a_block) {
    by_delta((ptrdiff_t)(MIN_USABLE + HEADER));
    by_delta(-(ptrdiff_t)(MIN_USABLE + HEADER));
}

/* b grows over the free c, leaving everything from all of c to nothing of it. */
TEST(G, grow_forward_leaving_0_8_16_and_more) {
    begin(100, 200, 300);
    size_t whole = mm_block_size(b) + HEADER + mm_block_size(c), size_b = mm_block_size(b);
    for (size_t n = size_b + 1; n <= whole; n++) {
        begin(100, 200, 300);
        mm_free(heap, c);
        suite_context("n = %zu of %zu", n, whole);
        CHECK_PTR(mm_realloc(heap, b, n), b);
        CHECK_GE(mm_block_size(b), n);
        CHECK_FILLED(b, size_b, 2);
        size_t left = whole - usable_for(n);
        if (left >= MIN_USABLE + HEADER && mm_block_size(b) == usable_for(n))
            CHECK_EQ(heap_walked(heap, 0).free, left);
        else if (left < MIN_USABLE + HEADER)
            CHECK_EQ(heap_walked(heap, 0).free, 0);
        memset(b, 0xFF, mm_block_size(b));
        CHECK_FILLED(a, mm_block_size(a), 1);
        rest_is_intact();
    }
}

TEST(G, grow_forward_does_not_fit_by_one_byte) {
    begin(100, 200, 300);
    size_t whole = mm_block_size(b) + HEADER + mm_block_size(c);
    mm_free(heap, c);
    heap_state before = heap_freeze(heap);
    CHECK_NULL(mm_realloc(heap, b, whole + 1));
    HEAP_SAME(heap, &before, 1);
}

/* b grows over the free a in front of it: the contents move down, over themselves. */
TEST(G, grow_backward_with_overlap) {
    for (size_t size_a = 24; size_a < 700; size_a += 40)
        for (size_t size_b = 24; size_b < 700; size_b += 56) {
            begin(size_a, size_b, 40);
            size_t usable = mm_block_size(b), whole = mm_block_size(a) + HEADER + usable;
            for (size_t n = usable + 1; n <= whole; n += 23) {
                begin(size_a, size_b, 40);
                mm_free(heap, a);
                suite_context("a %zu, b %zu, n %zu", size_a, size_b, n);
                /* Where the free block alone holds n, a move into it returns the same place. */
                unsigned char *p = mm_realloc(heap, b, n);
                CHECK_PTR(p, a);
                CHECK_GE(mm_block_size(p), n);
                CHECK_FILLED(p, usable, 2);
                memset(p, 0xFF, mm_block_size(p));
                CHECK_FILLED(c, mm_block_size(c), 3);
                rest_is_intact();
            }
            begin(size_a, size_b, 40);
            mm_free(heap, a);
            heap_state before = heap_freeze(heap);
            CHECK_NULL(mm_realloc(heap, b, whole + 1));
            HEAP_SAME(heap, &before, 1);
            CHECK_PTR(mm_realloc(heap, b, whole), a);
            CHECK_EQ(heap_stats(heap).free, 0);
            CHECK_FILLED(a, usable, 2);
        }
}

TEST(G, grow_over_both_sides) {
    begin(100, 200, 300);
    size_t usable = mm_block_size(b);
    size_t forward = usable + HEADER + mm_block_size(c),
           whole = forward + HEADER + mm_block_size(a);
    for (size_t n = forward + 1; n <= whole; n += 3) {
        begin(100, 200, 300);
        mm_free(heap, a);
        mm_free(heap, c);
        suite_context("n = %zu of %zu", n, whole);
        unsigned char *p = mm_realloc(heap, b, n);
        CHECK_PTR(p, a);
        CHECK_GE(mm_block_size(p), n);
        CHECK_FILLED(p, usable, 2);
        memset(p, 0xFF, mm_block_size(p));
        rest_is_intact();
    }
    begin(100, 200, 300);
    mm_free(heap, a);
    mm_free(heap, c);
    heap_state before = heap_freeze(heap);
    CHECK_NULL(mm_realloc(heap, b, whole + 1));
    HEAP_SAME(heap, &before, 1);
    CHECK_PTR(mm_realloc(heap, b, whole), a);
    CHECK_EQ(heap_stats(heap).free, 0);
}

TEST(G, forward_is_tried_before_backward) {
    begin(300, 200, 300);
    mm_free(heap, a);
    mm_free(heap, c);
    CHECK_PTR(mm_realloc(heap, b, 400), b);
    CHECK_FILLED(b, 200, 2);
    rest_is_intact();
}

TEST(G, in_place_is_tried_before_moving) {
    begin(300, 200, 300);
    mm_free(heap, a);
    /* A free block elsewhere that would also be large enough. */
    CHECK(mm_add_pool(heap, suite_memory(QUANTUM, 4096), 4096) != NULL);
    CHECK_PTR(mm_realloc(heap, b, 400), a);
    CHECK_FILLED(a, 200, 2);
    rest_is_intact();
}

TEST(G, moves_when_both_neighbours_live) {
    begin(100, 200, 300);
    unsigned char *second = suite_memory(QUANTUM, 8192);
    CHECK(mm_add_pool(heap, second, 8192) != NULL);
    size_t usable = mm_block_size(b);
    unsigned char *p = mm_realloc(heap, b, 1000);
    CHECK_BLOCK(p, 1000);
    CHECK(p >= second && p < second + 8192);
    CHECK_FILLED(p, usable, 2);
    /* The old block is free. */
    CHECK_PTR(mm_malloc(heap, usable), b);
    CHECK_FILLED(a, mm_block_size(a), 1);
    CHECK_FILLED(c, mm_block_size(c), 3);
    rest_is_intact();
}

/* The old block ends its region: one byte more than it has would be read outside, where a sanitizer
 * sees it. */
TEST(G, moving_reads_the_old_block_only) {
    begin(100, 200, 300);
    CHECK(mm_add_pool(heap, suite_memory(QUANTUM, 65536), 65536) != NULL);
    size_t usable = mm_block_size(rest);
    unsigned char *p = mm_realloc(heap, rest, 60000);
    CHECK_BLOCK(p, 60000);
    CHECK_FILLED(p, usable, 4);
    HEAP_SOUND(heap);
    /* A new alignment: back into the memory that it left, which is smaller than the block. */
    p = mm_realloc_aligned(heap, p, 1024, 100);
    CHECK(p != NULL);
    CHECK_FILLED(p, 100, 4);
    HEAP_SOUND(heap);
}

TEST(G, the_last_block_of_a_pool) {
    heap = heap_new(4096);
    unsigned char *first = mm_malloc(heap, 1000), *last = mm_malloc(heap, 1000);
    fill(last, 1000, 7);
    size_t whole = mm_block_size(last) + HEADER + heap_stats(heap).largest;
    CHECK_PTR(mm_realloc(heap, last, whole), last);
    CHECK_EQ(mm_block_size(last), whole);
    CHECK_FILLED(last, 1000, 7);
    HEAP_SOUND(heap);
    heap_state before = heap_freeze(heap);
    CHECK_NULL(mm_realloc(heap, last, whole + 1));
    HEAP_SAME(heap, &before, 1);
    CHECK_PTR(mm_realloc(heap, last, 500), last);
    HEAP_SOUND(heap);
    /* Backward, with the sentinel after the block. */
    CHECK_PTR(mm_realloc(heap, last, whole), last);
    size_t everything = whole + HEADER + mm_block_size(first);
    mm_free(heap, first);
    CHECK_PTR(mm_realloc(heap, last, everything), first);
    CHECK_FILLED(first, 500, 7);
    CHECK_EQ(heap_stats(heap).free, 0);
    HEAP_SOUND(heap);
}

TEST(G, shrinking_gives_the_tail_back) {
    begin(100, 1000, 300);
    size_t before = mm_block_size(b);
    for (size_t n = 990; n > 24; n -= 7) {
        suite_context("n = %zu", n);
        CHECK_PTR(mm_realloc(heap, b, n), b);
        CHECK_BLOCK(b, n);
        CHECK_FILLED(b, n, 2);
        CHECK_EQ(mm_block_size(b) + heap_stats(heap).free, before);
        CHECK_LE(heap_walked(heap, 0).free_blocks, 1);
        HEAP_SOUND(heap);
    }
    /* The tail joins a free neighbour. */
    mm_free(heap, c);
    CHECK_EQ(heap_walked(heap, 0).free_blocks, 1);
    CHECK_PTR(mm_realloc(heap, b, 24), b);
    CHECK_EQ(heap_walked(heap, 0).free_blocks, 1);
    rest_is_intact();
}

TEST(G, a_failing_grow_changes_nothing) {
    begin(100, 200, 300);
    heap_state before = heap_freeze(heap);
    size_t failed = 0;
    unsigned char *blocks[4] = {a, b, c, rest};
    for (int i = 0; i < 4; i++)
        for (size_t more = 1; more < 10000; more = more * 3 + 1) {
            suite_context("block %d, more %zu", i, more);
            CHECK_NULL(mm_realloc(heap, blocks[i], mm_block_size(blocks[i]) + more));
            CHECK_NULL(mm_realloc_aligned(heap, blocks[i], 64, mm_block_size(blocks[i]) + more));
            failed += 2;
            HEAP_SAME(heap, &before, failed);
        }
    CHECK_FILLED(a, mm_block_size(a), 1);
    CHECK_FILLED(b, mm_block_size(b), 2);
    CHECK_FILLED(c, mm_block_size(c), 3);
    /* Both neighbours are free, and together still too small. */
    mm_free(heap, a);
    mm_free(heap, c);
    before = heap_freeze(heap);
    for (size_t n = 100 + 200 + 300 + 100; n < 10000; n += 333) CHECK_NULL(mm_realloc(heap, b, n));
    mm_stats_t now = heap_stats(heap);
    HEAP_SAME(heap, &before, now.failed_requests - before.stats.failed_requests);
    CHECK_FILLED(b, mm_block_size(b), 2);
}

TEST(G, a_bad_alignment_changes_nothing) {
    static const size_t aligns[] = {0, 3, 24, 100, SIZE_MAX};
    begin(100, 200, 300);
    heap_state before = heap_freeze(heap);
    for (size_t i = 0; i < sizeof aligns / sizeof *aligns; i++) {
        CHECK_NULL(mm_realloc_aligned(heap, b, aligns[i], 100));
        CHECK_NULL(mm_realloc_aligned(heap, b, aligns[i], 1000));
        CHECK_NULL(mm_realloc_aligned(heap, NULL, aligns[i], 100));
    }
    HEAP_SAME(heap, &before, 0);
}

TEST(G, realloc_aligned_keeps_the_alignment) {
    suite_random random = suite_seeded(3);
    heap = heap_new((size_t)1 << 20);
    heap_state fresh = heap_freeze(heap);
    for (size_t align = 16; align <= 4096; align *= 4) {
        void *others[64] = {0};
        size_t n = 100;
        unsigned char *p = mm_memalign(heap, align, n);
        fill(p, n, 9);
        for (size_t turn = 0; turn < 400; turn++) {
            size_t i = turn % 64;
            mm_free(heap, others[i]);
            others[i] = mm_malloc(heap, suite_below(&random, 700) + 1);
            size_t wanted = suite_below(&random, 5000) + 1;
            suite_context("align %zu, turn %zu, %zu to %zu", align, turn, n, wanted);
            unsigned char *q = mm_realloc_aligned(heap, p, align, wanted);
            CHECK(q != NULL);
            CHECK_EQ(misalignment(q, align), 0);
            CHECK_GE(mm_block_size(q), wanted);
            CHECK_FILLED(q, n < wanted ? n : wanted, 9);
            fill(q, wanted, 9);
            p = q;
            n = wanted;
            if (turn % 16 == 0) HEAP_SOUND(heap);
        }
        /* An alignment that the block does not have yet. */
        p = mm_realloc_aligned(heap, p, 8192, n);
        CHECK(p != NULL);
        CHECK_EQ(misalignment(p, 8192), 0);
        CHECK_FILLED(p, n, 9);
        mm_free(heap, p);
        for (size_t i = 0; i < 64; i++) mm_free(heap, others[i]);
        HEAP_SAME_SHAPE(heap, &fresh);
    }
}

TEST(G, any_sequence_keeps_the_contents) {
    enum { BLOCKS = 40 };
    suite_random random = suite_seeded(17);
    heap = heap_new(60000);
    unsigned char *blocks[BLOCKS] = {0};
    size_t sizes[BLOCKS] = {0};
    for (size_t turn = 0; turn < 40000; turn++) {
        size_t i = suite_below(&random, BLOCKS),
               wanted = suite_below(&random, turn % 7 ? 600 : 6000);
        suite_context("turn %zu: %zu to %zu", turn, sizes[i], wanted);
        unsigned char *p = mm_realloc(heap, blocks[i], wanted);
        if (wanted && !p) {
            CHECK_FILLED(blocks[i], sizes[i], (unsigned)i);
            continue;
        }
        CHECK_FILLED(p, sizes[i] < wanted ? sizes[i] : wanted, (unsigned)i);
        blocks[i] = p;
        sizes[i] = wanted;
        fill(p, wanted, (unsigned)i);
        if (turn % 64 == 0) HEAP_SOUND(heap);
    }
    for (size_t i = 0; i < BLOCKS; i++) CHECK_FILLED(blocks[i], sizes[i], (unsigned)i);
    for (size_t i = 0; i < BLOCKS; i++) mm_free(heap, blocks[i]);
    CHECK_EQ(heap_walked(heap, 0).blocks, 1);
}
