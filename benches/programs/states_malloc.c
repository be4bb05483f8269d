/* malloc, calloc and memalign, from the cheapest state to the worst one. */
#include "bed.h"

#include <string.h>

/* Makes a free block of `bytes` usable bytes; returns the block in use after it. */
static void *hole(struct bed *bed, size_t bytes, void **at) {
    void *block = take(bed, bytes), *wall = take(bed, 1000);
    mm_free(bed->a, block);
    *at = block;
    return wall;
}

static void smallest_from_huge(struct bed *bed) {
    EXPECT(bed, "f");
    void *p = MEASURE_POINTER(bed, mm_malloc, bed->a, 1, 0, 0);
    EXPECT(bed, "uf");
    REQUIRE(mm_block_size(p) == mm_block_size_min());
    mm_free(bed->a, p);
}

static void large_from_huge(struct bed *bed) {
    EXPECT(bed, "f");
    void *p = MEASURE_POINTER(bed, mm_malloc, bed->a, 100000, 0, 0);
    EXPECT(bed, "uf");
    REQUIRE(mm_block_size(p) >= 100000);
    mm_free(bed->a, p);
}

static void hit(struct bed *bed, size_t bytes) {
    void *freed, *wall = hole(bed, bytes, &freed);
    EXPECT(bed, "fuf");
    void *p = MEASURE_POINTER(bed, mm_malloc, bed->a, bytes, 0, 0);
    EXPECT(bed, "uuf");
    REQUIRE(p == freed);
    mm_free(bed->a, p);
    mm_free(bed->a, wall);
}
static void hit_64(struct bed *bed) { hit(bed, 64); }
static void hit_2048(struct bed *bed) { hit(bed, 2048); }

/* The bin keeps another block. */
static void hit_of_two(struct bed *bed, size_t bytes) {
    void *a = take(bed, bytes), *wall = take(bed, 1000);
    void *b = take(bed, bytes), *end = take(bed, 1000);
    mm_free(bed->a, a);
    mm_free(bed->a, b);
    EXPECT(bed, "fufuf");
    void *p = MEASURE_POINTER(bed, mm_malloc, bed->a, bytes, 0, 0);
    REQUIRE(p == a || p == b);
    EXPECT(bed, p == a ? "uufuf" : "fuuuf");
    mm_free(bed->a, p);
    mm_free(bed->a, wall);
    mm_free(bed->a, end);
}
static void hit_64_of_two(struct bed *bed) { hit_of_two(bed, 64); }
static void hit_2048_of_two(struct bed *bed) { hit_of_two(bed, 2048); }

/* Takes the work pool's big free blocks until no request of `bytes` succeeds; returns a chain of
 * them. */
static void **fill(struct bed *bed, size_t bytes) {
    void **chain = NULL;
    for (size_t size = figures(bed).largest; size >= bytes; size = figures(bed).largest) {
        void **block = take(bed, size);
        *block = chain;
        chain = block;
    }
    return chain;
}

static void empty_chain(struct bed *bed, void **chain) {
    while (chain) {
        void **next = *chain;
        mm_free(bed->a, chain);
        chain = next;
    }
}

static void out_of_memory(struct bed *bed) {
    void **chain = fill(bed, 64);
    mm_stats_t before = figures(bed);
    REQUIRE(before.largest < 64);
    REQUIRE(!MEASURE_POINTER(bed, mm_malloc, bed->a, 64, 0, 0));
    REQUIRE(figures(bed).failed_requests == before.failed_requests + 1);
    empty_chain(bed, chain);
}

/* A thousand free blocks in the request's own bin, each a quantum too small; nothing above. */
static void out_of_memory_1000(struct bed *bed) {
    static void *small[1000], *walls[1000];
    for (int i = 0; i < 1000; i++) {
        small[i] = take(bed, 4096 - 8);
        walls[i] = take(bed, 1000);
    }
    void **chain = fill(bed, 4096);
    for (int i = 0; i < 1000; i++) {
        mm_free(bed->a, small[i]);
    }
    mm_stats_t before = figures(bed);
    size_t bytes = before.largest + 1;
    REQUIRE(before.largest >= 4096 - 8 && before.largest < 4096 + 8);
    REQUIRE(!MEASURE_POINTER(bed, mm_malloc, bed->a, bytes, 0, 0));
    REQUIRE(figures(bed).failed_requests == before.failed_requests + 1);
    empty_chain(bed, chain);
    for (int i = 0; i < 1000; i++) {
        mm_free(bed->a, walls[i]);
    }
}

/* The head of the request's own bin is a quantum too small: the search goes on above and splits the
 * huge block. */
static void own_head_too_small(struct bed *bed) {
    void *freed, *wall = hole(bed, 4096 - 8, &freed);
    EXPECT(bed, "fuf");
    void *p = MEASURE_POINTER(bed, mm_malloc, bed->a, 4096 + 8, 0, 0);
    EXPECT(bed, "fuuf");
    REQUIRE(p != freed);
    mm_free(bed->a, p);
    mm_free(bed->a, wall);
}

/* own_head_too_small, where the block split and the remainder have others in their bins. */
static void own_head_too_small_filled(struct bed *bed) {
    void *probe = take(bed, 4096 + 8);
    size_t rest = 8192 - (mm_block_size(probe) + mm_alloc_overhead());
    mm_free(bed->a, probe);
    size_t sizes[4] = {4096 - 8, 8192 - 8, 8192 - 8, rest - 8};
    void *blocks[4], *walls[4];
    for (int i = 0; i < 4; i++) {
        blocks[i] = take(bed, sizes[i]);
        REQUIRE(mm_block_size(blocks[i]) == sizes[i]);
        walls[i] = take(bed, 1000);
    }
    for (int i = 0; i < 4; i++) {
        mm_free(bed->a, blocks[i]);
    }
    EXPECT(bed, "fufufufuf");
    void *p = MEASURE_POINTER(bed, mm_malloc, bed->a, 4096 + 8, 0, 0);
    REQUIRE(p == blocks[1] || p == blocks[2]);
    EXPECT(bed, p == blocks[1] ? "fuufufufuf" : "fufuufufuf");
    mm_free(bed->a, p);
    for (int i = 0; i < 4; i++) {
        mm_free(bed->a, walls[i]);
    }
}

/* The clearing is part of the count: one smallest block, 24 bytes. */
static void calloc_smallest(struct bed *bed) {
    EXPECT(bed, "f");
    unsigned char *p = MEASURE_POINTER(bed, mm_calloc, bed->a, 1, 24, 0);
    EXPECT(bed, "uf");
    for (int i = 0; i < 24; i++) {
        REQUIRE(p[i] == 0);
    }
    mm_free(bed->a, p);
}

/* Gap before, remainder after. */
static void memalign_split_both(struct bed *bed) {
    EXPECT(bed, "f");
    void *p = MEASURE_POINTER(bed, mm_memalign, bed->a, 4096, 100, 0);
    EXPECT(bed, "fuf");
    REQUIRE((uintptr_t)p % 4096 == 0);
    mm_free(bed->a, p);
}

/* memalign_split_both, where the head of the request's own bin is too small and the gap would be
 * one quantum, so that the block moves up by one more alignment. */
static void memalign_worst(struct bed *bed) {
    size_t quantum = mm_align_size(), align = 4096, bytes = 200;
    /* The request's bin, of 208 + 4,096 + 16 bytes, begins at 4,224. */
    void *small = take(bed, 4224 - 8), *wall = take(bed, 1000);
    /* Move the huge block's payload to one quantum before an aligned address. */
    void *next = take(bed, 56);
    size_t end = (uintptr_t)next + 64;
    mm_free(bed->a, next);
    uintptr_t start = (uintptr_t)next;
    uintptr_t goal = ((end + 2 * align) & ~(uintptr_t)(align - 1)) - quantum;
    /* Blocks below 2 KiB are cut exactly. */
    void *fillers[16];
    int n = 0;
    while (goal - start > 0) {
        size_t step = goal - start > 1536 ? 1024 : goal - start;
        fillers[n] = take(bed, step - 8);
        REQUIRE((uintptr_t)fillers[n] == start && n < 15);
        start += step;
        n++;
    }
    mm_free(bed->a, small);
    char layout[32] = "fu";
    memset(layout + 2, 'u', (size_t)n);
    strcpy(layout + 2 + n, "f");
    EXPECT(bed, layout);
    void *p = MEASURE_POINTER(bed, mm_memalign, bed->a, align, bytes, 0);
    strcpy(layout + 2 + n, "fuf");
    EXPECT(bed, layout);
    REQUIRE((uintptr_t)p == goal + quantum + align);
    mm_free(bed->a, p);
    mm_free(bed->a, wall);
    while (n--) {
        mm_free(bed->a, fillers[n]);
    }
}

const struct state_of_call states_of_malloc[] = {
    {"malloc-smallest-from-huge", smallest_from_huge, 1},
    {"malloc-100000-from-huge", large_from_huge, 0},
    {"malloc-hit-64", hit_64, 0},
    {"malloc-hit-64-of-two", hit_64_of_two, 0},
    {"malloc-hit-2048", hit_2048, 0},
    {"malloc-hit-2048-of-two", hit_2048_of_two, 0},
    {"malloc-out-of-memory", out_of_memory, 0},
    {"malloc-out-of-memory-1000-too-small", out_of_memory_1000, 0},
    {"malloc-own-head-too-small", own_head_too_small, 0},
    {"malloc-own-head-too-small-bins-filled", own_head_too_small_filled, 0},
    {"calloc-24-from-huge", calloc_smallest, 1},
    {"memalign-gap-and-remainder", memalign_split_both, 0},
    {"memalign-worst", memalign_worst, 0},
    {0},
};
