/* Every other call, in the costliest state of its O(1) part. A name carries the number of pools or
 * blocks where the call is not O(1). */
#include "bed.h"

#include <string.h>

static void ignore_block(void *ptr, size_t size, int used, void *user) {
    (void)ptr, (void)size, (void)used, (void)user;
}
static void ignore_error(const char *message, const void *ptr, void *user) {
    (void)message, (void)ptr, (void)user;
}

#define CONSTANT(name, function, expected)                       \
    static void name(struct bed *bed) {                          \
        REQUIRE(MEASURE(bed, function, 0, 0, 0, 0) == (expected)); \
    }
CONSTANT(size, mm_size, mm_size())
CONSTANT(align_size, mm_align_size, 16)
CONSTANT(block_size_min, mm_block_size_min, 24)
CONSTANT(block_size_max, mm_block_size_max, (size_t)1 << 40)
CONSTANT(pool_overhead, mm_pool_overhead, mm_pool_overhead())
CONSTANT(alloc_overhead, mm_alloc_overhead, 8)

static void size_for(struct bed *bed) {
    REQUIRE(MEASURE(bed, mm_size_for, 65536, 0, 0, 0) < mm_size());
}

static void version(struct bed *bed) {
    REQUIRE(strcmp((const char *)MEASURE(bed, mm_version, 0, 0, 0, 0), MM_VERSION_STRING) == 0);
}

static void block_size(struct bed *bed) {
    void *p = take(bed, 4000);
    REQUIRE(MEASURE(bed, mm_block_size, p, 0, 0, 0) >= 4000);
    mm_free(bed->a, p);
}

static void stats(struct bed *bed) {
    mm_stats_t stats;
    REQUIRE(MEASURE(bed, mm_stats, bed->a, &stats, sizeof stats, 0) == 1);
    REQUIRE(stats.used + stats.free + stats.overhead == stats.pool_bytes);
}

static void set_error_handler(struct bed *bed) {
    MEASURE(bed, mm_set_error_handler, bed->a, ignore_error, NULL, 0);
    mm_set_error_handler(bed->a, NULL, NULL);
}

static int errors;
static void count_error(const char *message, const void *ptr, void *user) {
    (void)message, (void)ptr, (void)user;
    errors++;
}

/* Misuse, with a handler: the report is part of the count. */
static void free_twice(struct bed *bed) {
    void *p = take(bed, 1000), *wall = take(bed, 1000);
    mm_free(bed->a, p);
    mm_set_error_handler(bed->a, count_error, NULL);
    errors = 0;
    MEASURE(bed, mm_free, bed->a, p, 0, 0);
    REQUIRE(errors == 1);
    mm_set_error_handler(bed->a, NULL, NULL);
    mm_free(bed->a, wall);
}

/* Lifecycle: each makes an allocator in a buffer beside the bed. */
static _Alignas(64) unsigned char buffer[65536];

static void create(struct bed *bed) {
    memset(buffer, 0xa5, sizeof buffer);
    REQUIRE(MEASURE_POINTER(bed, mm_create, buffer, 0, 0, 0) == buffer);
    REQUIRE(mm_validate((mm_allocator_t *)buffer));
}
static void create_for(struct bed *bed) {
    REQUIRE(MEASURE_POINTER(bed, mm_create_for, buffer, 65536, 0, 0) == buffer);
    REQUIRE(mm_validate((mm_allocator_t *)buffer));
}
static void create_with_pool(struct bed *bed) {
    REQUIRE(MEASURE_POINTER(bed, mm_create_with_pool, buffer, sizeof buffer, 0, 0) == buffer);
    REQUIRE(mm_validate((mm_allocator_t *)buffer));
}
static void destroy(struct bed *bed) {
    mm_allocator_t *a = mm_create_with_pool(buffer, sizeof buffer);
    REQUIRE(a);
    MEASURE(bed, mm_destroy, a, 0, 0, 0);
    REQUIRE(!mm_malloc(a, 1));
}
static void reset(struct bed *bed) {
    mm_allocator_t *a = mm_create_with_pool(buffer, sizeof buffer);
    REQUIRE(a && mm_malloc(a, 100));
    REQUIRE(MEASURE(bed, mm_reset, a, 0, 0, 0) == 1);
    size_t free_blocks;
    REQUIRE(count_blocks(mm_get_pool(a), &free_blocks) == 1 && free_blocks == 1);
}

/* Three pools in a buffer with gaps between them; the middle one is added, removed, extended. */
static struct three {
    mm_allocator_t *a;
    mm_pool_t *low, *high;
    unsigned char *middle;
} three_pools(void) {
    struct three t = {.a = mm_create(buffer), .middle = buffer + 24576};
    t.low = mm_add_pool(t.a, buffer + 16384, 4096);
    t.high = mm_add_pool(t.a, buffer + 40960, 4096);
    REQUIRE(t.a && t.low && t.high);
    return t;
}

static void add_pool(struct bed *bed) {
    struct three t = three_pools();
    mm_pool_t *pool = (mm_pool_t *)MEASURE(bed, mm_add_pool, t.a, t.middle, 4096, 0);
    REQUIRE(pool && mm_next_pool(t.a, t.low) == pool && mm_next_pool(t.a, pool) == t.high);
}
static void remove_pool(struct bed *bed) {
    struct three t = three_pools();
    REQUIRE(mm_add_pool(t.a, t.middle, 4096));
    REQUIRE(MEASURE(bed, mm_remove_pool, t.a, t.middle, 0, 0) == 1);
    REQUIRE(mm_next_pool(t.a, t.low) == t.high);
}
static void extend_free_tail(struct bed *bed) {
    struct three t = three_pools();
    mm_pool_t *pool = mm_add_pool(t.a, t.middle, 4096);
    REQUIRE(MEASURE(bed, mm_extend_pool, t.a, pool, 4096, 0) == 1);
    REQUIRE(count_blocks(pool, NULL) == 1 && mm_validate(t.a));
}
static void extend_live_tail(struct bed *bed) {
    struct three t = three_pools();
    mm_pool_t *pool = mm_add_pool(t.a, t.middle, 4096);
    void *p = mm_memalign(t.a, 16, 4096 - mm_pool_overhead());
    REQUIRE(p && mm_get_pool_for_ptr(t.a, p) == pool);
    REQUIRE(MEASURE(bed, mm_extend_pool, t.a, pool, 4096, 0) == 1);
    REQUIRE(count_blocks(pool, NULL) == 2 && mm_validate(t.a));
}
/* Extends and removes a pool of the bed's own heap, below its others. */
static void extend_in_heap(struct bed *bed) {
    mm_pool_t *pool = mm_add_pool(bed->a, buffer, 4096);
    REQUIRE(pool && mm_get_pool(bed->a) == pool);
    REQUIRE(MEASURE(bed, mm_extend_pool, bed->a, pool, 4096, 0) == 1);
    REQUIRE(count_blocks(pool, NULL) == 1);
    REQUIRE(mm_remove_pool(bed->a, pool));
}
static void remove_in_heap(struct bed *bed) {
    mm_pool_t *pool = mm_add_pool(bed->a, buffer, 4096);
    REQUIRE(pool && mm_get_pool(bed->a) == pool);
    REQUIRE(MEASURE(bed, mm_remove_pool, bed->a, pool, 0, 0) == 1);
    REQUIRE(mm_get_pool(bed->a) != pool);
}
static void get_pool(struct bed *bed) {
    struct three t = three_pools();
    REQUIRE((mm_pool_t *)MEASURE(bed, mm_get_pool, t.a, 0, 0, 0) == t.low);
}
static void next_pool(struct bed *bed) {
    struct three t = three_pools();
    REQUIRE((mm_pool_t *)MEASURE(bed, mm_next_pool, t.a, t.low, 0, 0) == t.high);
}
static void pool_for_ptr(struct bed *bed) {
    struct three t = three_pools();
    char *inside = (char *)t.high + 100;
    REQUIRE((mm_pool_t *)MEASURE(bed, mm_get_pool_for_ptr, t.a, inside, 0, 0) == t.high);
}

/* For calls that are O(blocks): a hundred blocks in use, a hundred free ones. */
static void **hundred(struct bed *bed) {
    static void *walls[100];
    void *holes[100];
    for (int i = 0; i < 100; i++) {
        holes[i] = take(bed, 100);
        walls[i] = take(bed, 100);
    }
    for (int i = 0; i < 100; i++) {
        mm_free(bed->a, holes[i]);
    }
    REQUIRE(count_blocks(bed->pool, NULL) - bed->base == 201);
    return walls;
}
static void tidy_hundred(struct bed *bed, void **walls) {
    for (int i = 0; i < 100; i++) {
        mm_free(bed->a, walls[i]);
    }
}
#define OVER_BLOCKS(name, function, first, b, c, d, expected)              \
    static void name(struct bed *bed) {                                    \
        mm_cursor_t cursor = {{0}};                                        \
        void **walls = hundred(bed);                                       \
        (void)cursor;                                                      \
        REQUIRE((int)MEASURE(bed, function, first, b, c, d) == (expected)); \
        tidy_hundred(bed, walls);                                          \
    }
OVER_BLOCKS(validate, mm_validate, bed->a, 0, 0, 0, 1)
OVER_BLOCKS(validate_pool, mm_validate_pool, bed->pool, 0, 0, 0, 1)
OVER_BLOCKS(check, mm_check, bed->a, 0, 0, 0, 0)
OVER_BLOCKS(check_pool, mm_check_pool, bed->pool, 0, 0, 0, 0)
OVER_BLOCKS(diagnose, mm_diagnose, bed->a, 0, 0, 0, 0)
OVER_BLOCKS(validate_step, mm_validate_step, bed->a, &cursor, 1, 0, 2)

static void walk_pool(struct bed *bed) {
    void **walls = hundred(bed);
    MEASURE(bed, mm_walk_pool, bed->pool, ignore_block, NULL, 0);
    tidy_hundred(bed, walls);
}

/* The global functions, past their first use, with room in their pools, without contention. */
static void global_malloc(struct bed *bed) {
    mm_free_global(mm_malloc_global(1));
    void *p = MEASURE_POINTER(bed, mm_malloc_global, 4000, 0, 0, 0);
    REQUIRE(p);
    mm_free_global(p);
}
static void global_free(struct bed *bed) {
    void *front = mm_malloc_global(1000), *p = mm_malloc_global(4000);
    void *wall = mm_malloc_global(1000);
    mm_free_global(front);
    MEASURE(bed, mm_free_global, p, 0, 0, 0);
    mm_free_global(wall);
}
static void global_calloc(struct bed *bed) {
    void *p = MEASURE_POINTER(bed, mm_calloc_global, 1, 24, 0, 0);
    REQUIRE(p);
    mm_free_global(p);
}
static void global_realloc(struct bed *bed) {
    void *p = mm_malloc_global(1000), *wall = mm_malloc_global(24);
    void *moved = MEASURE_POINTER(bed, mm_realloc_global, wall, 5000, 0, 0);
    REQUIRE(p && moved);
    mm_free_global(p);
    mm_free_global(moved);
}
static void global_memalign(struct bed *bed) {
    void *p = MEASURE_POINTER(bed, mm_memalign_global, 4096, 100, 0, 0);
    REQUIRE(p && (uintptr_t)p % 4096 == 0);
    mm_free_global(p);
}
static void global_stats(struct bed *bed) {
    mm_stats_t stats;
    REQUIRE(MEASURE(bed, mm_stats_global, &stats, sizeof stats, 0, 0) == 1);
}
static void global_default(struct bed *bed) {
    REQUIRE(MEASURE(bed, mm_default, 0, 0, 0, 0) == (uintptr_t)mm_default());
}
static void global_validate(struct bed *bed) {
    REQUIRE(MEASURE(bed, mm_validate_global, 0, 0, 0, 0));
}

const struct state_of_call states_of_others[] = {
    {"block_size", block_size, 0},
    {"stats", stats, 0},
    {"extend_pool-lowest", extend_in_heap, 0},
    {"remove_pool-lowest", remove_in_heap, 0},
    {"extend_pool-free-tail", extend_free_tail, 1},
    {"extend_pool-live-tail", extend_live_tail, 1},
    {"remove_pool-middle-of-3", remove_pool, 1},
    {"free-twice-reported", free_twice, 0},
    {"add_pool-middle-of-3", add_pool, 1},
    {"get_pool", get_pool, 1},
    {"next_pool", next_pool, 1},
    {"get_pool_for_ptr-of-2", pool_for_ptr, 1},
    {"set_error_handler", set_error_handler, 1},
    {"create", create, 1},
    {"create_for-65536", create_for, 1},
    {"create_with_pool", create_with_pool, 1},
    {"destroy", destroy, 1},
    {"reset-1-pool", reset, 1},
    {"size", size, 1},
    {"size_for-65536", size_for, 1},
    {"align_size", align_size, 1},
    {"block_size_min", block_size_min, 1},
    {"block_size_max", block_size_max, 1},
    {"pool_overhead", pool_overhead, 1},
    {"alloc_overhead", alloc_overhead, 1},
    {"version", version, 1},
    {"validate-201-blocks", validate, 1},
    {"validate_pool-201-blocks", validate_pool, 1},
    {"check-201-blocks", check, 1},
    {"check_pool-201-blocks", check_pool, 1},
    {"diagnose-201-blocks", diagnose, 1},
    {"validate_step-1-of-201-blocks", validate_step, 1},
    {"walk_pool-201-blocks", walk_pool, 1},
    {"malloc_global", global_malloc, 1},
    {"free_global", global_free, 1},
    {"calloc_global-24", global_calloc, 1},
    {"realloc_global-move", global_realloc, 1},
    {"memalign_global-4096", global_memalign, 1},
    {"stats_global", global_stats, 1},
    {"default", global_default, 1},
    {"validate_global", global_validate, 1},
    {0},
};
