#define _GNU_SOURCE
#include "bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <valgrind/callgrind.h>

static const char *current = "?";

void state(const char *name) { current = name; }

void require_failed(const char *file, int line, const char *condition) {
    fprintf(stderr, "%s:%d: state %s: not true: %s\n", file, line, current, condition);
    exit(1);
}

unsigned char *bed_memory(void) {
    static unsigned char *memory;
    if (!memory) {
        memory = mmap(NULL, BED_POOL_BYTES + 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        REQUIRE(memory != MAP_FAILED);
    }
    return memory;
}

void *bed_control(void) {
    static _Alignas(64) unsigned char control[16384];
    REQUIRE(mm_size() <= sizeof control);
    return control;
}

struct bed bed_fresh(void) {
    struct bed bed = {0};
    bed.a = mm_create(bed_control());
    REQUIRE(bed.a);
    bed.pool = mm_add_pool(bed.a, bed_memory(), BED_POOL_BYTES);
    REQUIRE(bed.pool);
    return bed;
}

struct layout {
    size_t skip, length;
    char blocks[4096];
};

static void note(void *ptr, size_t size, int used, void *user) {
    struct layout *layout = user;
    (void)ptr;
    (void)size;
    if (layout->skip) {
        layout->skip--;
    } else if (layout->length + 1 < sizeof layout->blocks) {
        layout->blocks[layout->length++] = used ? 'u' : 'f';
    }
}

void expect(const struct bed *bed, const char *wanted, const char *file, int line) {
    struct layout layout = {.skip = bed->base};
    mm_walk_pool(bed->pool, note, &layout);
    layout.blocks[layout.length] = 0;
    if (strcmp(layout.blocks, wanted) != 0) {
        fprintf(stderr, "%s:%d: state %s: blocks are %s, not %s\n", file, line, current,
                layout.blocks, wanted);
        exit(1);
    }
}

struct counts {
    size_t all, free;
};

static void count(void *ptr, size_t size, int used, void *user) {
    struct counts *counts = user;
    (void)ptr;
    (void)size;
    counts->all++;
    counts->free += !used;
}

size_t count_blocks(mm_pool_t *pool, size_t *free_blocks) {
    struct counts counts = {0};
    mm_walk_pool(pool, count, &counts);
    if (free_blocks) {
        *free_blocks = counts.free;
    }
    return counts.all;
}

void *take(const struct bed *bed, size_t bytes) {
    void *block = mm_malloc(bed->a, bytes);
    REQUIRE(block);
    return block;
}

mm_stats_t figures(const struct bed *bed) {
    mm_stats_t stats;
    REQUIRE(mm_stats(bed->a, &stats, sizeof stats));
    return stats;
}

/* One instruction, its return: in assembly, so that no compiler adds another. */
__asm__(".text\n.globl empty\n.type empty, @function\nempty: ret\n.size empty, . - empty\n");

static __attribute__((noinline)) uintptr_t frame(function f, uintptr_t a, uintptr_t b, uintptr_t c,
                                                 uintptr_t d) {
    uintptr_t result;
    CALLGRIND_TOGGLE_COLLECT;
    result = f(a, b, c, d);
    CALLGRIND_TOGGLE_COLLECT;
    return result;
}

uintptr_t measure(const struct bed *bed, function f, uintptr_t a, uintptr_t b, uintptr_t c,
                  uintptr_t d) {
    char name[256];
    if (bed && bed->surroundings) {
        snprintf(name, sizeof name, "%s @ %s", current, bed->surroundings);
    } else {
        snprintf(name, sizeof name, "%s", current);
    }
    uintptr_t result = frame(f, a, b, c, d);
    CALLGRIND_DUMP_STATS_AT(name);
    return result;
}

void measure_frame(void) {
    state("empty");
    MEASURE(NULL, empty, 0, 0, 0, 0);
}
