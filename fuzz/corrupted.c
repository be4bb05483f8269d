/* The validators on a damaged heap: the input decides how a real heap is built and which of its
 * bytes are then overwritten. For any damage, no validator crashes, hangs, reads outside (every
 * region is a malloc of exactly its size, under AddressSanitizer) or changes a byte; their answers
 * agree; and a heap that they call sound works. */
#include "harness.h"

#define BLOCKS 40
#define POOLS 3
#define CONTROL POOLS
#define REGIONS (POOLS + 1)

/* Headers and free memory may be poisoned: AddressSanitizer must not check the functions that
 * overwrite and compare them. */
#define UNSEEN __attribute__((no_sanitize("address"), noinline))

typedef struct region {
    unsigned char *start, *copy;
    size_t bytes;
    mm_pool_t *pool;
} region;

static region regions[REGIONS];
static mm_allocator_t *allocator;
static size_t reports;

static void on_misuse(const char *message, const void *ptr, void *user) {
    (void)message, (void)ptr, (void)user;
    reports++;
}

UNSEEN static void store(unsigned char *at, size_t word, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        ((volatile unsigned char *)at)[i] = (unsigned char)(word >> 8 * i);
}

UNSEEN static size_t load(const unsigned char *at) {
    size_t word = 0;
    for (size_t i = 0; i < sizeof word; i++)
        word |= (size_t)((const volatile unsigned char *)at)[i] << 8 * i;
    return word;
}

/* Gives the index of the first byte that differs from the copy; or makes the copy. */
UNSEEN static size_t changed(const region *region, int copy) {
    for (size_t i = 0; i < region->bytes; i++) {
        if (copy)
            region->copy[i] = ((const volatile unsigned char *)region->start)[i];
        else if (region->copy[i] != ((const volatile unsigned char *)region->start)[i])
            return i;
    }
    return region->bytes;
}

static void freeze(void) {
    for (size_t i = 0; i < REGIONS; i++)
        if (regions[i].start) changed(&regions[i], 1);
}

static void unchanged(const char *what) {
    for (size_t i = 0; i < REGIONS; i++)
        if (regions[i].start && changed(&regions[i], 0) != regions[i].bytes)
            suite_fail(__FILE__, __LINE__, "%s wrote byte %zu of region %zu", what,
                       changed(&regions[i], 0), i);
}

/* Inside a region, or at its end, where a pool's sentinel would have its payload. */
static int is_ours(const void *place) {
    const unsigned char *at = place;
    for (size_t i = 0; i < REGIONS; i++)
        if (regions[i].start && at >= regions[i].start && at <= regions[i].start + regions[i].bytes)
            return 1;
    return 0;
}

static void get_region(region *region, size_t bytes) {
    region->bytes = bytes;
    region->start = malloc(bytes);
    region->copy = malloc(bytes);
    CHECK(region->start != NULL && region->copy != NULL);
    memset(region->start, 0x5A, bytes);
}

/* Pools, blocks of several sizes, some of them freed. */
static size_t build(input *in) {
    unsigned shape = take(in);
    size_t most = POWER(6 + shape % 14), count = 1 + shape % POOLS, blocks = take(in) % BLOCKS;
    void *block[BLOCKS];
    get_region(&regions[CONTROL], mm_size_for(most));
    allocator = mm_create_for(regions[CONTROL].start, most);
    CHECK(allocator != NULL);
    mm_set_error_handler(allocator, on_misuse, NULL);
    for (size_t i = 0; i < count; i++) {
        get_region(&regions[i], 128 + 8 * (size_t)take(in));
        regions[i].pool = mm_add_pool(allocator, regions[i].start, regions[i].bytes);
        CHECK(regions[i].pool != NULL);
    }
    for (size_t i = 0; i < blocks; i++) {
        size_t bytes = take(in);
        block[i] = mm_malloc(allocator, bytes < 4 ? 24 : bytes);
        if (block[i]) memset(block[i], 0x77, mm_block_size(block[i]));
    }
    for (size_t i = 0; i < blocks; i += 8)
        for (unsigned bits = take(in), bit = 0; bit < 8 && i + bit < blocks; bit++)
            if (bits >> bit & 1) mm_free(allocator, block[i + bit]);
    CHECK(mm_validate(allocator));
    return count;
}

/* A word for an overwritten place: small, wild, or an address in the heap, which a validator could
 * follow. */
static size_t wrong_word(input *in, size_t old) {
    unsigned how = take(in);
    const region *region = &regions[take(in) % REGIONS];
    size_t where = take16(in);
    if (!region->start) region = &regions[CONTROL];
    where %= region->bytes;
    switch (how % 8) {
    case 0: return take_word(in);
    case 1: return old ^ (size_t)1 << where % WORD_BITS;
    case 2: return (uintptr_t)region->start + where / QUANTUM * QUANTUM;
    case 3: return (uintptr_t)region->start + where;
    case 4: return old + (size_t)(signed char)take(in) * (how & 8 ? 1 : QUANTUM);
    case 5: return load(region->start + (where < region->bytes - 8 ? where / 8 * 8 : 0));
    case 6: return (size_t)(how >> 3) - 2;
    default: return (uintptr_t)region->start + region->bytes;
    }
}

static void overwrite(input *in) {
    unsigned how = take(in);
    const region *region = &regions[(how & 0x7F) % REGIONS];
    size_t where = take16(in);
    if (!region->start) region = &regions[CONTROL];
    if (how & 0x80) {
        store(region->start + where % region->bytes, take(in), 1);
    } else {
        unsigned char *word = region->start + where % (region->bytes / 8) * 8;
        store(word, wrong_word(in, load(word)), sizeof(size_t));
    }
}

struct walk {
    const region *region;
    size_t blocks;
    void *live[BLOCKS];
    size_t count;
};

static void on_block(void *block, size_t size, int used, void *user) {
    struct walk *walk = user;
    unsigned char *start = block;
    CHECK(start >= walk->region->start &&
          start + size <= walk->region->start + walk->region->bytes);
    CHECK_LE(++walk->blocks, walk->region->bytes / (MIN_USABLE + HEADER));
    if (used && walk->count < BLOCKS) walk->live[walk->count++] = block;
}

static void validate(size_t pools, size_t step) {
    mm_violation_t found;
    mm_cursor_t cursor;
    memset(&cursor, 0, sizeof cursor);
    memset(&found, 0xA5, sizeof found);
    int sound = mm_validate(allocator) != 0;
    unchanged("mm_validate");
    int number = mm_diagnose(allocator, &found);
    unchanged("mm_diagnose");
    CHECK_EQ(sound, number == 0);
    CHECK_EQ(number, found.invariant);
    CHECK_LE(number, 8);
    CHECK_EQ(mm_check(allocator), -number);
    CHECK(found.name != NULL && strlen(found.name) > 0);
    if (number) {
        CHECK(found.address != NULL && is_ours(found.address));
        if (found.pool) CHECK(is_ours(found.pool));
    }
    size_t blocks = 0, turns = 0;
    for (size_t i = 0; i < pools; i++) {
        int pool_sound = mm_validate_pool(regions[i].pool) != 0;
        CHECK_EQ(pool_sound, mm_check_pool(regions[i].pool) == 0);
        if (!pool_sound) CHECK(!sound);
        struct walk walk = {&regions[i], 0, {NULL}, 0};
        mm_walk_pool(regions[i].pool, on_block, &walk);
        blocks += regions[i].bytes / (MIN_USABLE + HEADER);
    }
    unchanged("mm_validate_pool or mm_walk_pool");
    int answer;
    do {
        answer = mm_validate_step(allocator, &cursor, step);
        CHECK_LE(++turns, blocks + pools + 1);
    } while (answer == 2);
    unchanged("mm_validate_step");
    if (sound) CHECK_EQ(answer, 1);
#ifdef PLANTED
    /* A validator that reads one byte beyond a pool's end once it has found damage. */
    if (number == 6) mm_planted_read(regions[0].start + regions[0].bytes);
#endif
    if (!sound) return;
    /* A heap called sound must work: every live block of a walk can be freed, and then each pool
     * can be removed. */
    reports = 0;
    mm_set_error_handler(allocator, on_misuse, NULL);
    for (size_t i = 0; i < pools; i++) {
        struct walk walk = {&regions[i], 0, {NULL}, 0};
        mm_walk_pool(regions[i].pool, on_block, &walk);
        for (size_t j = 0; j < walk.count; j++) mm_free(allocator, walk.live[j]);
    }
    CHECK_EQ(reports, 0);
    CHECK(mm_validate(allocator));
    CHECK_EQ(heap_stats(allocator).used, 0);
    for (size_t i = 0; i < pools; i++) CHECK_EQ(mm_remove_pool(allocator, regions[i].pool), 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    memset(regions, 0, sizeof regions);
    size_t pools = build(&in), step = 1 + take(&in) % 5;
    for (int i = 0; i < 32 && in.left; i++) overwrite(&in);
    freeze();
    validate(pools, step);
    for (size_t i = 0; i < REGIONS; i++) {
        free(regions[i].start);
        free(regions[i].copy);
    }
    return 0;
}
