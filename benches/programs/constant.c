/*
 * The same states in ever larger heaps: free blocks, pools, fill and history vary, the state does
 * not. `make constant` runs it under callgrind.
 *
 * The surroundings hold free blocks of the smallest size only, at least one, so that each state has
 * its bins to itself, as in wcet.c. Every other byte of the surroundings is in use.
 */
#define _GNU_SOURCE
#include "bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <valgrind/callgrind.h>

struct surroundings {
    const char *dimension;
    size_t free_blocks, pools, fill_percent, history;
    uint64_t seed;
};

enum { REGION_BYTES = 512 << 20, SLOTS = 4096 };

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random requests and frees of 1 to 8,191 bytes; the blocks live at the end stay. */
static void churn(mm_allocator_t *a, size_t operations, uint64_t seed) {
    static void *slots[SLOTS];
    memset(slots, 0, sizeof slots);
    for (size_t i = 0; i < operations; i++) {
        uint64_t random = next_random(&seed);
        void **slot = &slots[random % SLOTS];
        size_t bytes = 1 + (random >> 20) % ((size_t)1 << (5 + (random >> 40) % 9));
        switch (*slot ? (random >> 60) & 3 : 3) {
        case 0: {
            void *moved = mm_realloc(a, *slot, bytes);
            *slot = moved ? moved : *slot;
            break;
        }
        case 1:
        case 2:
            mm_free(a, *slot);
            *slot = NULL;
            break;
        default:
            mm_free(a, *slot);
            *slot = (random >> 58) & 3 ? mm_malloc(a, bytes)
                                       : mm_memalign(a, (size_t)16 << (random >> 50) % 8, bytes);
        }
    }
}

static int by_address(const void *a, const void *b) {
    uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;
    return (x > y) - (x < y);
}

static struct bed build(const struct surroundings *s) {
    static unsigned char *region;
    if (!region) {
        region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        REQUIRE(region != MAP_FAILED);
    }
    struct bed bed = {.a = mm_create(bed_control())};
    size_t all = s->free_blocks * 2 * 32 + (s->history ? SLOTS * 4096 : 0) + 65536;
    size_t each = all / s->pools + 65536;
    REQUIRE(bed.a && each * s->pools < REGION_BYTES);
    for (size_t i = 0; i < s->pools; i++) {
        REQUIRE(mm_add_pool(bed.a, region + i * each, each - 64));
    }
    churn(bed.a, s->history, s->seed);

    /* Takes smallest blocks, then everything else until nothing is free; then frees smallest blocks
     * between live neighbours. More than twice as many are taken: those from a hole of another size
     * may be larger. */
    size_t count = 2 * s->free_blocks + 1000;
    void **blocks = malloc(count * sizeof *blocks);
    REQUIRE(blocks);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = take(&bed, 24);
    }
    for (size_t largest = figures(&bed).largest; largest; largest = figures(&bed).largest) {
        take(&bed, largest);
    }
    REQUIRE(figures(&bed).free == 0);
    qsort(blocks, count, sizeof *blocks, by_address);
    size_t freed = 0;
    uintptr_t last = 0;
    for (size_t i = 0; i < count && freed < s->free_blocks; i++) {
        if ((uintptr_t)blocks[i] != last + 32 && mm_block_size(blocks[i]) == 24) {
            last = (uintptr_t)blocks[i];
            mm_free(bed.a, blocks[i]);
            freed++;
        }
    }
    free(blocks);
    REQUIRE(freed == s->free_blocks && figures(&bed).free == 32 * freed);

    bed.pool = mm_add_pool(bed.a, bed_memory(), BED_POOL_BYTES);
    REQUIRE(bed.pool);
    while (figures(&bed).largest > BED_POOL_BYTES / 100 * (100 - s->fill_percent)) {
        take(&bed, 1000000);
        bed.base++;
    }

    /* The heap is the one that the parameters name. */
    size_t pools = 0, free_blocks = 0;
    for (mm_pool_t *pool = mm_get_pool(bed.a); pool; pool = mm_next_pool(bed.a, pool)) {
        size_t in_pool;
        count_blocks(pool, &in_pool);
        free_blocks += in_pool;
        pools++;
    }
    REQUIRE(pools == s->pools + 1 && free_blocks == s->free_blocks + 1);
    EXPECT(&bed, "f");
    REQUIRE(mm_validate(bed.a));
    return bed;
}

static void run_all(struct bed *bed, const struct state_of_call *states) {
    for (; states->name; states++) {
        if (!states->alone) {
            state(states->name);
            EXPECT(bed, "f");
            states->run(bed);
            EXPECT(bed, "f");
        }
    }
}

int main(int argc, char **argv) {
    /* Each of the others differs from this one in one parameter. */
    const struct surroundings plain = {"", 100, 2, 0, 0, 1};
    struct surroundings all[64];
    size_t count = 0, limit = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
#define VARY(field, value)              \
    do {                                \
        all[count] = plain;             \
        all[count].dimension = #field;  \
        all[count].field = (value);     \
        count++;                        \
    } while (0)
    for (size_t n = 1; n <= limit; n *= 10) {
        VARY(free_blocks, n);
    }
    for (size_t n = 1; n <= 1000 && n <= limit; n *= 10) {
        VARY(pools, n);
    }
    static const size_t fills[] = {0, 25, 50, 75, 90, 99};
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
        VARY(fill_percent, fills[i]);
    }
    for (size_t n = 100; n <= limit; n *= 10) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            VARY(history, n);
            all[count - 1].seed = seed * 0x9E3779B97F4A7C15u;
        }
    }

    CALLGRIND_START_INSTRUMENTATION;
    measure_frame();
    measure_frame();
    CALLGRIND_STOP_INSTRUMENTATION;
    for (size_t i = 0; i < count; i++) {
        const struct surroundings *s = &all[i];
        char name[128];
        snprintf(name, sizeof name, "%s free_blocks=%zu pools=%zu fill=%zu history=%zu seed=%llu",
                 s->dimension, s->free_blocks, s->pools, s->fill_percent, s->history,
                 (unsigned long long)s->seed);
        state(name);
        struct bed bed = build(s);
        bed.surroundings = name;
        CALLGRIND_START_INSTRUMENTATION;
        measure_frame(); /* callgrind miscounts the first call after a start: dropped */
        run_all(&bed, states_of_malloc);
        run_all(&bed, states_of_free);
        run_all(&bed, states_of_realloc);
        run_all(&bed, states_of_others);
        CALLGRIND_STOP_INSTRUMENTATION;
        state(name);
        REQUIRE(mm_validate(bed.a));
    }
    return 0;
}
