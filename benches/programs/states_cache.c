/* Calls on an allocator with a cache: hits, misses, and the longest call, which frees all cached
 * blocks before it is served. */
#include "bed.h"

enum { EACH = 15, SIZES = 64 };

/* Requests up to 64 KiB. */
static _Alignas(64) unsigned char table[2144];

static void begin(struct bed *bed) {
    REQUIRE(mm_set_cache(bed->a, table, sizeof table, EACH) == 1);
}

static void end(struct bed *bed) { REQUIRE(mm_set_cache(bed->a, NULL, 0, 0) == 1); }

static void hit(struct bed *bed, size_t bytes) {
    begin(bed);
    void *p = take(bed, bytes);
    mm_free(bed->a, p);
    REQUIRE(figures(bed).cached > bytes);
    REQUIRE(MEASURE_POINTER(bed, mm_malloc, bed->a, bytes, 0, 0) == p);
    REQUIRE(figures(bed).cached == 0);
    mm_free(bed->a, p);
    end(bed);
}
static void hit_64(struct bed *bed) { hit(bed, 64); }
static void hit_2048(struct bed *bed) { hit(bed, 2048); }
static void hit_65536(struct bed *bed) { hit(bed, 65536); }

static void miss_64(struct bed *bed) {
    begin(bed);
    void *p = MEASURE_POINTER(bed, mm_malloc, bed->a, 64, 0, 0);
    REQUIRE(p != NULL);
    mm_free(bed->a, p);
    end(bed);
}

static void put(struct bed *bed, size_t bytes) {
    begin(bed);
    void *p = take(bed, bytes);
    MEASURE(bed, mm_free, bed->a, p, 0, 0);
    REQUIRE(figures(bed).cached > bytes);
    end(bed);
}
static void put_64(struct bed *bed) { put(bed, 64); }
static void put_65536(struct bed *bed) { put(bed, 65536); }

/* The class is full: the block goes to the core. */
static void turned_away(struct bed *bed) {
    void *blocks[EACH], *wall;
    begin(bed);
    for (int i = 0; i < EACH; i++) blocks[i] = take(bed, 128);
    void *p = take(bed, 128);
    wall = take(bed, 128);
    for (int i = 0; i < EACH; i++) mm_free(bed->a, blocks[i]);
    size_t cached = figures(bed).cached;
    MEASURE(bed, mm_free, bed->a, p, 0, 0);
    REQUIRE(figures(bed).cached == cached);
    mm_free(bed->a, wall);
    end(bed);
}

static void calloc_24(struct bed *bed) {
    begin(bed);
    void *p = take(bed, 24);
    mm_free(bed->a, p);
    REQUIRE(MEASURE_POINTER(bed, mm_calloc, bed->a, 1, 24, 0) == p);
    mm_free(bed->a, p);
    end(bed);
}

static void memalign_hit(struct bed *bed) {
    begin(bed);
    void *p = mm_memalign(bed->a, 4096, 1000);
    mm_free(bed->a, p);
    REQUIRE(MEASURE_POINTER(bed, mm_memalign, bed->a, 4096, 1000, 0) == p);
    mm_free(bed->a, p);
    end(bed);
}

static void realloc_move(struct bed *bed) {
    begin(bed);
    void *p = take(bed, 64), *wall = take(bed, 64), *goal = take(bed, 200), *last = take(bed, 64);
    mm_free(bed->a, goal);
    REQUIRE(MEASURE_POINTER(bed, mm_realloc, bed->a, p, 200, 0) == goal);
    mm_free(bed->a, goal);
    mm_free(bed->a, wall);
    mm_free(bed->a, last);
    end(bed);
}

/* No memory but the cached blocks, side by side: the request needs all of them. */
static void flush(struct bed *bed) {
    void *blocks[SIZES][EACH], *rest;
    begin(bed);
    for (int i = 0; i < SIZES; i++)
        for (int j = 0; j < EACH; j++) blocks[i][j] = take(bed, 16 * (size_t)i + 24);
    rest = take(bed, figures(bed).largest);
    for (int j = 0; j < EACH; j++)
        for (int i = 0; i < SIZES; i++) mm_free(bed->a, blocks[i][j]);
    size_t cached = figures(bed).cached;
    REQUIRE(figures(bed).live_blocks == SIZES * EACH + 1);
    void *p = MEASURE_POINTER(bed, mm_malloc, bed->a, cached - 64, 0, 0);
    REQUIRE(p != NULL && figures(bed).cached == 0);
    mm_free(bed->a, p);
    mm_free(bed->a, rest);
    end(bed);
}

const struct state_of_call states_of_cache[] = {
    {"cached-malloc-hit-64", hit_64, 1},
    {"cached-malloc-hit-2048", hit_2048, 1},
    {"cached-malloc-hit-65536", hit_65536, 1},
    {"cached-malloc-miss-64", miss_64, 1},
    {"cached-malloc-after-freeing-960-cached", flush, 1},
    {"cached-calloc-hit-24", calloc_24, 1},
    {"cached-memalign-hit", memalign_hit, 1},
    {"cached-free-64", put_64, 1},
    {"cached-free-65536", put_65536, 1},
    {"cached-free-of-a-full-size", turned_away, 1},
    {"cached-realloc-move-to-a-hit", realloc_move, 1},
    {NULL, NULL, 0},
};
