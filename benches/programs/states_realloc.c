/* realloc: stays, shrinks, grows forward and backward, moves. It copies at most 56 bytes. */
#include "bed.h"

static void same(struct bed *bed) {
    void *p = take(bed, 4000);
    EXPECT(bed, "uf");
    REQUIRE(MEASURE_POINTER(bed, mm_realloc, bed->a, p, 4000, 0) == p);
    EXPECT(bed, "uf");
    mm_free(bed->a, p);
}

static void same_small(struct bed *bed) {
    void *p = take(bed, 100);
    EXPECT(bed, "uf");
    REQUIRE(MEASURE_POINTER(bed, mm_realloc, bed->a, p, 100, 0) == p);
    EXPECT(bed, "uf");
    mm_free(bed->a, p);
}

static void shrink(struct bed *bed) {
    void *p = take(bed, 4000), *wall = take(bed, 1000);
    EXPECT(bed, "uuf");
    REQUIRE(MEASURE_POINTER(bed, mm_realloc, bed->a, p, 1000, 0) == p);
    EXPECT(bed, "ufuf");
    mm_free(bed->a, p);
    mm_free(bed->a, wall);
}

static void shrink_next_free(struct bed *bed) {
    void *p = take(bed, 4000), *next = take(bed, 3000), *wall = take(bed, 1000);
    mm_free(bed->a, next);
    EXPECT(bed, "ufuf");
    size_t before = mm_block_size(p);
    REQUIRE(MEASURE_POINTER(bed, mm_realloc, bed->a, p, 1000, 0) == p);
    EXPECT(bed, "ufuf");
    REQUIRE(mm_block_size(p) < before);
    mm_free(bed->a, p);
    mm_free(bed->a, wall);
}

static void grow_forward(struct bed *bed) {
    void *p = take(bed, 1000);
    EXPECT(bed, "uf");
    REQUIRE(MEASURE_POINTER(bed, mm_realloc, bed->a, p, 4000, 0) == p);
    EXPECT(bed, "uf");
    REQUIRE(mm_block_size(p) >= 4000);
    mm_free(bed->a, p);
}

static void grow_forward_whole(struct bed *bed) {
    void *p = take(bed, 1000), *next = take(bed, 3000), *wall = take(bed, 1000);
    size_t all = mm_block_size(p) + mm_block_size(next) + mm_alloc_overhead();
    mm_free(bed->a, next);
    EXPECT(bed, "ufuf");
    REQUIRE(MEASURE_POINTER(bed, mm_realloc, bed->a, p, all, 0) == p);
    EXPECT(bed, "uuf");
    REQUIRE(mm_block_size(p) == all);
    mm_free(bed->a, p);
    mm_free(bed->a, wall);
}

static void grow_backward(struct bed *bed) {
    void *prev = take(bed, 4000), *p = take(bed, 56), *wall = take(bed, 1000);
    mm_free(bed->a, prev);
    EXPECT(bed, "fuuf");
    REQUIRE(MEASURE_POINTER(bed, mm_realloc, bed->a, p, 2000, 0) == prev);
    EXPECT(bed, "ufuf");
    mm_free(bed->a, prev);
    mm_free(bed->a, wall);
}

static void grow_both_ways(struct bed *bed) {
    void *prev = take(bed, 3000), *p = take(bed, 56);
    void *next = take(bed, 4000), *wall = take(bed, 1000);
    mm_free(bed->a, prev);
    mm_free(bed->a, next);
    EXPECT(bed, "fufuf");
    REQUIRE(MEASURE_POINTER(bed, mm_realloc, bed->a, p, 5000, 0) == prev);
    EXPECT(bed, "ufuf");
    mm_free(bed->a, prev);
    mm_free(bed->a, wall);
}

/* The free previous block is too small to grow into; the old block merges with it at the end. */
static void move_block(struct bed *bed) {
    void *prev = take(bed, 1000), *p = take(bed, 56), *wall = take(bed, 1000);
    mm_free(bed->a, prev);
    EXPECT(bed, "fuuf");
    void *moved = MEASURE_POINTER(bed, mm_realloc, bed->a, p, 5000, 0);
    REQUIRE(moved && moved != p);
    EXPECT(bed, "fuuf");
    mm_free(bed->a, moved);
    mm_free(bed->a, wall);
}

static void no_room(struct bed *bed) {
    size_t largest = figures(bed).largest;
    void *p = take(bed, 56), *wall = take(bed, 1000);
    EXPECT(bed, "uuf");
    REQUIRE(!MEASURE_POINTER(bed, mm_realloc, bed->a, p, largest, 0));
    EXPECT(bed, "uuf");
    mm_free(bed->a, p);
    mm_free(bed->a, wall);
}

static void to_zero(struct bed *bed) {
    void *prev = take(bed, 3000), *p = take(bed, 4000);
    void *next = take(bed, 5000), *wall = take(bed, 1000);
    mm_free(bed->a, prev);
    mm_free(bed->a, next);
    EXPECT(bed, "fufuf");
    REQUIRE(!MEASURE_POINTER(bed, mm_realloc, bed->a, p, 0, 0));
    EXPECT(bed, "fuf");
    mm_free(bed->a, wall);
}

static void from_null(struct bed *bed) {
    EXPECT(bed, "f");
    void *p = MEASURE_POINTER(bed, mm_realloc, bed->a, NULL, 100000, 0);
    EXPECT(bed, "uf");
    mm_free(bed->a, p);
}

static void aligned_move(struct bed *bed) {
    void *prev = take(bed, 1000), *p = take(bed, 56), *wall = take(bed, 1000);
    mm_free(bed->a, prev);
    EXPECT(bed, "fuuf");
    void *moved = MEASURE_POINTER(bed, mm_realloc_aligned, bed->a, p, 4096, 5000);
    REQUIRE(moved && moved != p && (uintptr_t)moved % 4096 == 0);
    EXPECT(bed, "fufuf");
    mm_free(bed->a, moved);
    mm_free(bed->a, wall);
}

const struct state_of_call states_of_realloc[] = {
    {"realloc-same", same, 0},
    {"realloc-same-100-bytes", same_small, 0},
    {"realloc-shrink", shrink, 0},
    {"realloc-shrink-next-free", shrink_next_free, 0},
    {"realloc-grow-forward", grow_forward, 0},
    {"realloc-grow-forward-whole", grow_forward_whole, 0},
    {"realloc-grow-backward", grow_backward, 0},
    {"realloc-grow-both-ways", grow_both_ways, 0},
    {"realloc-move", move_block, 0},
    {"realloc-no-room", no_room, 0},
    {"realloc-to-zero-both-free", to_zero, 0},
    {"realloc-from-null", from_null, 0},
    {"realloc_aligned-move", aligned_move, 0},
    {0},
};
