/* Group F: splitting and coalescing. A remainder becomes a free block, or stays where it is too
 * small for one; free neighbours always merge. */
#include "support/heap.h"

/* A free block of exactly `usable` bytes between two live ones, in a heap without other free
 * memory. Gives its payload. */
static void *hole(mm_allocator_t *heap, size_t usable) {
    void *before = mm_malloc(heap, 40), *p = mm_malloc(heap, usable), *after = mm_malloc(heap, 40);
    CHECK(before && p && after);
    CHECK_EQ(mm_block_size(p), usable_for(usable));
    size_t largest;
    while ((largest = heap_stats(heap).largest) != 0) CHECK(mm_malloc(heap, largest) != NULL);
    mm_free(heap, p);
    CHECK_EQ(heap_walked(heap, 0).free_blocks, 1);
    return p;
}

/* Takes all of a hole but `left` bytes, header included. */
static void leaves(size_t usable, size_t left, int is_block) {
    mm_allocator_t *heap = heap_new(8192);
    void *place = hole(heap, usable);
    size_t size = usable_for(usable);
    suite_context("hole of %zu, %zu left", size, left);
    unsigned char *p = mm_malloc(heap, size - left);
    CHECK_PTR(p, place);
    HEAP_SOUND(heap);
    heap_walk walk = heap_walked(heap, 0);
    if (is_block) {
        CHECK_EQ(walk.free_blocks, 1);
        CHECK_EQ(walk.free, round_up(left - QUANTUM + 1, QUANTUM));
        CHECK_EQ(mm_block_size(p), size - walk.free);
        CHECK(mm_malloc(heap, walk.largest_free) != NULL);
    } else {
        CHECK_EQ(walk.free_blocks, 0);
        CHECK_EQ(mm_block_size(p), size);
        memset(p, 0xFF, size);
        HEAP_SOUND(heap);
    }
    mm_free(heap, p);
    HEAP_SOUND(heap);
}

TEST(F, remainder_of_min_minus_8) {
    leaves(248, MIN_USABLE + HEADER - 8, 0);
    leaves(248, MIN_USABLE + HEADER - QUANTUM, 0);
    leaves(248, QUANTUM, 0);
    leaves(248, 0, 0);
}

TEST(F, remainder_of_min) {
    leaves(248, MIN_USABLE + HEADER, 1);
}

TEST(F, remainder_of_min_plus_8) {
    leaves(248, MIN_USABLE + HEADER + 8, 1);
    leaves(248, MIN_USABLE + HEADER + QUANTUM, 1);
}

TEST(F, every_remainder_of_a_hole) {
    for (size_t left = 0; left <= 200; left += QUANTUM)
        leaves(248, left, left >= MIN_USABLE + HEADER);
}

/* Four neighbours a b c d: frees a and c if set, then b, and counts the free blocks. */
static void merges(const char *what, int free_a, int free_c, size_t free_blocks) {
    mm_allocator_t *heap = heap_new(4096);
    void *a = mm_malloc(heap, 100), *b = mm_malloc(heap, 200), *c = mm_malloc(heap, 300),
         *d = mm_malloc(heap, 40);
    void *rest = mm_malloc(heap, heap_stats(heap).largest);
    CHECK(a && b && c && d && rest);
    size_t sizes[3] = {mm_block_size(a), mm_block_size(b), mm_block_size(c)};
    if (free_a) mm_free(heap, a);
    if (free_c) mm_free(heap, c);
    mm_free(heap, b);
    suite_context("%s", what);
    HEAP_SOUND(heap);
    heap_walk walk = heap_walked(heap, 0);
    CHECK_EQ(walk.free_blocks, free_blocks);
    size_t together =
        sizes[1] + (free_a ? sizes[0] + HEADER : 0) + (free_c ? sizes[2] + HEADER : 0);
    CHECK_EQ(walk.largest_free, together);
    CHECK_PTR(mm_malloc(heap, together), free_a ? a : b);
    HEAP_SOUND(heap);
}

TEST(F, merges_none) {
    merges("none", 0, 0, 1);
}
TEST(F, merges_left) {
    merges("left", 1, 0, 1);
}
TEST(F, merges_right) {
    merges("right", 0, 1, 1);
}
TEST(F, merges_both) {
    merges("both", 1, 1, 1);
}

static void gap(size_t distance) {
    size_t bytes = 4 * distance;
    unsigned char *space = heap_address_space(bytes);
    mm_allocator_t *heap = heap_over(space, bytes);
    heap_state fresh = heap_freeze(heap);
    for (int order = 0; order < 6; order++) {
        void *blocks[3] = {mm_malloc(heap, distance + 64), mm_malloc(heap, distance + 8),
                           mm_malloc(heap, distance)};
        CHECK(blocks[0] && blocks[1] && blocks[2]);
        HEAP_SOUND(heap);
        for (int i = 0; i < 3; i++) {
            mm_free(heap, blocks[suite_orders[order][i]]);
            HEAP_SOUND(heap);
        }
        HEAP_SAME_SHAPE(heap, &fresh);
    }
    heap_unmap(space, bytes);
}

TEST(F, merges_across_gaps_over_2_to_the_24) {
    gap(POWER(24) + 64);
}
TEST(F, merges_across_gaps_over_2_to_the_32) {
    if (IS_64_BIT) gap(POWER(32) + 64);
}

/* The control structure and both ends of a pool, byte for byte: all of the allocator's own
 * words. */
#define EDGE 128
typedef struct image {
    unsigned char *control;
    unsigned char front[EDGE], back[EDGE];
} image;

static void take_image(image *to, mm_allocator_t *heap, const unsigned char *pool, size_t bytes) {
    /* Up to the first block's links. */
    size_t front = mm_pool_overhead() + 2 * sizeof(void *) - HEADER;
    memset(to->front, 0, EDGE);
    memset(to->back, 0, EDGE);
    memcpy(to->control, heap, mm_size());
    /* The second word takes the writes to the links of the lists' end, and is never read. */
    memset(to->control + sizeof(void *), 0, sizeof(void *));
    memcpy(to->front, pool, front);
    /* prev_phys and the sentinel. */
    memcpy(to->back, pool + bytes - 2 * sizeof(void *), 2 * sizeof(void *));
}

static int same_image(const image *a, const image *b) {
    return memcmp(a->control, b->control, mm_size()) == 0 &&
           memcmp(a->front, b->front, EDGE) == 0 && memcmp(a->back, b->back, EDGE) == 0;
}

TEST(F, eight_factorial_free_orders_end_in_one_block_bit_for_bit) {
    enum { COUNT = 8 };
    static const size_t sizes[COUNT] = {24, 100, 40, 512, 24, 1000, 72, 3000};
    size_t bytes = region_for(6000);
    unsigned char *pool = suite_memory(QUANTUM, bytes);
    mm_allocator_t *heap = heap_over(pool, bytes);
    image first = {suite_memory(QUANTUM, mm_size()), {0}, {0}},
          now = {suite_memory(QUANTUM, mm_size()), {0}, {0}};
    int order[COUNT], turns[COUNT] = {0}, started = 0;
    size_t orders = 0;
    for (int i = 0; i < COUNT; i++) order[i] = i;
    heap_state fresh = heap_freeze(heap);
    /* Heap's algorithm gives every permutation once. */
    for (int i = 0; i < COUNT;) {
        if (!started || turns[i] < i) {
            if (started) {
                int j = i % 2 ? turns[i] : 0, swap = order[j];
                order[j] = order[i];
                order[i] = swap;
                turns[i]++;
                i = 0;
            }
            void *blocks[COUNT];
            for (int k = 0; k < COUNT; k++) {
                blocks[k] = mm_malloc(heap, sizes[k]);
                CHECK(blocks[k] != NULL);
                memset(blocks[k], (int)orders, sizes[k]);
            }
            for (int k = 0; k < COUNT; k++) {
                mm_free(heap, blocks[order[k]]);
                if (orders % 512 == 0) HEAP_SOUND(heap);
            }
            orders++;
            take_image(&now, heap, pool, bytes);
            if (!started) {
                take_image(&first, heap, pool, bytes);
                started = 1;
            }
            suite_context("order %d %d %d %d %d %d %d %d", order[0], order[1], order[2], order[3],
                          order[4], order[5], order[6], order[7]);
            CHECK(same_image(&first, &now));
        } else {
            turns[i++] = 0;
        }
    }
    CHECK_EQ(orders, 40320);
    HEAP_SAME_SHAPE(heap, &fresh);
}

TEST(F, every_sequence_ends_bit_identical_to_its_start) {
    size_t bytes = region_for(20000);
    unsigned char *pool = suite_memory(QUANTUM, bytes);
    mm_allocator_t *heap = heap_over(pool, bytes);
    image first = {suite_memory(QUANTUM, mm_size()), {0}, {0}},
          now = {suite_memory(QUANTUM, mm_size()), {0}, {0}};
    /* The image includes the peak and the failure counter: reach the peak first, and cause no
     * refusal. */
    void *all = mm_malloc(heap, heap_stats(heap).largest);
    mm_free(heap, all);
    take_image(&first, heap, pool, bytes);
    heap_state fresh = heap_freeze(heap);
    suite_random random = suite_seeded(5);
    for (int round = 0; round < 300; round++) {
        void *blocks[40] = {0};
        suite_context("round %d", round);
        for (int turn = 0; turn < 200; turn++) {
            size_t i = suite_below(&random, 40), n = suite_below(&random, 400) + 1;
            size_t largest = heap_stats(heap).largest;
            if (!blocks[i]) {
                if (n + 600 <= largest)
                    blocks[i] = turn % 4 ? mm_malloc(heap, n) : mm_memalign(heap, 64, n);
            } else if (turn % 3 || n > largest) {
                mm_free(heap, blocks[i]);
                blocks[i] = NULL;
            } else {
                blocks[i] = mm_realloc(heap, blocks[i], n);
                CHECK(blocks[i] != NULL);
            }
        }
        for (size_t i = 0; i < 40; i++) mm_free(heap, blocks[i]);
        take_image(&now, heap, pool, bytes);
        CHECK(same_image(&first, &now));
    }
    HEAP_SAME(heap, &fresh, 0);
}

TEST(F, a_pool_in_min_blocks_comes_back_from_both_ends) {
    mm_allocator_t *heap = heap_new((size_t)1 << 14);
    heap_state fresh = heap_freeze(heap);
    static void *blocks[2000];
    for (int way = 0; way < 4; way++) {
        size_t count = 0;
        while (count < 2000 && (blocks[count] = mm_malloc(heap, 1)) != NULL) count++;
        CHECK_EQ(count, (usable_for((size_t)1 << 14) + HEADER) / (MIN_USABLE + HEADER));
        HEAP_SOUND(heap);
        for (size_t i = 0; i < count; i++) {
            /* Upward, downward, even places before odd ones, from both ends to the middle. */
            size_t evens = (count + 1) / 2;
            size_t k = way == 0   ? i
                       : way == 1 ? count - 1 - i
                       : way == 2 ? (i < evens ? 2 * i : 2 * (i - evens) + 1)
                                  : (i % 2 ? count - 1 - i / 2 : i / 2);
            mm_free(heap, blocks[k]);
            if (i % 50 == 0) HEAP_SOUND(heap);
        }
        HEAP_SAME_SHAPE(heap, &fresh);
    }
}
