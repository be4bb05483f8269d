/* Shared by the misuse programs. Each program builds a small heap and does one thing wrong, inside
 * REFUSED. It is run twice:
 *
 *   program dies      no handler: the library prints one line and aborts
 *   program returns   a handler prints the same line and returns: the call must have had no effect.
 *                     Overwritten bytes are restored, and the heap must be sound and end as one
 *                     free block.
 *
 * A second argument "debug" stands for the debug library, whose counters and memory a refused call
 * may change. The first lines of a program give its expected end: see tests/harness/misuse.rs. */
#ifndef MISUSE_H
#define MISUSE_H

#include <memoman.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAP_BYTES (32 * 1024)

/* All heaps lie in this array: the first one at the start, the program's own ones after it. */
static unsigned char memory[2 * HEAP_BYTES] __attribute__((aligned(4096)));
static unsigned char memory_before[sizeof memory];

static mm_allocator_t *heap;
static int returns, debugging, reports, refusals;
static int handler_word;
static mm_stats_t stats_before;

static void failed(const char *file, int line, const char *what) {
    printf("FAIL %s:%d: %s\n", file, line, what);
    fflush(stdout);
    _Exit(1);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) failed(__FILE__, __LINE__, #condition);                                  \
    } while (0)

static void on_misuse(const char *message, const void *pointer, void *user) {
    CHECK(user == &handler_word);
    reports++;
    fprintf(stderr, "memoman: %s: 0x%llx\n", message, (unsigned long long)(uintptr_t)pointer);
}

/* Makes this the program's heap. */
static inline void use_heap(mm_allocator_t *allocator) {
    CHECK(allocator != NULL);
    heap = allocator;
    if (returns) mm_set_error_handler(heap, on_misuse, &handler_word);
}

/* The blocks in use, freed at the end. */
static void *taken[32];
static int takings;

static inline void *took(void *p) {
    CHECK(p != NULL && takings < 32);
    taken[takings++] = p;
    return p;
}

static inline unsigned char *take(size_t bytes) {
    return memset(took(mm_malloc(heap, bytes)), 0, bytes);
}

static inline void forget(void *p) {
    for (int i = 0; i < takings; i++)
        if (taken[i] == p) taken[i] = taken[--takings];
}

static inline void give(void *p) {
    forget(p);
    mm_free(heap, p);
    CHECK(reports == refusals);
}

/* Makes a free list of two blocks of 40 bytes, kept apart by blocks in use. Gives the list's head;
 * and the block after it in `next`, unless that is NULL. */
static inline unsigned char *list_of_two(unsigned char **next) {
    unsigned char *a = take(40);
    take(40);
    unsigned char *b = take(40);
    take(40);
    give(b);
    give(a);
    if (next) *next = b;
    return a;
}

/* A block's header, and the header after it. */
static inline unsigned char *header_of(unsigned char *p) {
    /* Two words of the debug library's overhead are the guard after the block. */
    return p - mm_alloc_overhead() + (debugging ? 2 * sizeof(void *) : 0);
}

static inline unsigned char *end_of(unsigned char *p) {
    return p + mm_block_size(p);
}

/* Bytes that the program overwrites, kept to be restored. */
static struct damage {
    unsigned char *place, kept[64];
    size_t bytes;
} damages[4];
static int damage_count;

static inline void smash_with(void *place, const void *bytes, size_t count) {
    CHECK(damage_count < 4 && count <= sizeof damages->kept);
    struct damage *one = &damages[damage_count++];
    one->place = place;
    one->bytes = count;
    memcpy(one->kept, place, count);
    memcpy(place, bytes, count);
}

static inline void smash(void *place, size_t count, int value) {
    unsigned char bytes[64];
    memset(bytes, value, sizeof bytes);
    smash_with(place, bytes, count);
}

static inline void smash_word(void *place, uintptr_t value) {
    smash_with(place, &value, sizeof value);
}

static inline void repair(void) {
    while (damage_count > 0) {
        struct damage *one = &damages[--damage_count];
        memcpy(one->place, one->kept, one->bytes);
    }
}

static inline mm_stats_t stats_of(mm_allocator_t *allocator) {
    mm_stats_t stats;
    CHECK(mm_stats(allocator, &stats, sizeof stats) == 1);
    return stats;
}

static inline void before_call(const void *pointer) {
    printf("pointer 0x%llx\n", (unsigned long long)(uintptr_t)pointer);
    fflush(stdout);
    stats_before = stats_of(heap);
    memcpy(memory_before, memory, sizeof memory);
}

static inline void after_call(int may_change_free_memory) {
    if (!returns) failed(__FILE__, __LINE__, "the misuse was not found: the call returned");
    refusals++;
    CHECK(reports == 1);
    if (!debugging) {
        mm_stats_t stats = stats_of(heap);
        CHECK(memcmp(&stats, &stats_before, sizeof stats) == 0);
        if (!may_change_free_memory) CHECK(memcmp(memory, memory_before, sizeof memory) == 0);
    }
    repair();
    CHECK(mm_validate(heap));
}

/* The misuse: `call` must be refused with a report of `pointer` and change no byte of any heap. */
#define REFUSED(pointer, call)                                                                     \
    do {                                                                                           \
        before_call(pointer);                                                                      \
        call;                                                                                      \
        after_call(0);                                                                             \
    } while (0)

#define REFUSED_NULL(pointer, call) REFUSED(pointer, CHECK((call) == NULL))

/* REFUSED_NULL for a realloc that has copied into free memory before it meets the damage: only
 * counters and blocks stay the same. */
#define REFUSED_NULL_AFTER_COPY(pointer, call)                                                     \
    do {                                                                                           \
        before_call(pointer);                                                                      \
        CHECK((call) == NULL);                                                                     \
        after_call(1);                                                                             \
    } while (0)

static inline void count_block(void *p, size_t size, int used, void *user) {
    (void)p;
    (void)size;
    (void)used;
    ++*(size_t *)user;
}

/* The heap works, and once its blocks are freed each pool is one free block. */
static inline void heap_is_sound_to_the_end(void) {
    size_t blocks = 0, pools = 0;
    if (heap == mm_default()) return;
    while (takings > 0) give(taken[0]);
    CHECK(mm_validate(heap));
    for (mm_pool_t *pool = mm_get_pool(heap); pool != NULL; pool = mm_next_pool(heap, pool)) {
        mm_walk_pool(pool, count_block, &blocks);
        pools++;
    }
    CHECK(debugging ||
          (blocks == pools && stats_of(heap).live_blocks == 0 && stats_of(heap).used == 0));
    give(take(100));
    CHECK(mm_validate(heap));
}

static void misuse(void);

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    returns = strcmp(argv[1], "returns") == 0;
    debugging = argc >= 3 && strcmp(argv[2], "debug") == 0;
    CHECK(returns || strcmp(argv[1], "dies") == 0);
    use_heap(mm_create_with_pool(memory, HEAP_BYTES));
    misuse();
    CHECK(refusals == 1 && reports == 1);
    heap_is_sound_to_the_end();
    puts("sound");
    return 0;
}

#endif
