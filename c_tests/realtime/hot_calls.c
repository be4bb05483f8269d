/* The handle API's constant-time calls under clang's RealtimeSanitizer. Each is made from a
 * nonblocking function: anything in the library that may block (a lock, a system call, the C
 * library's malloc) ends the program with a report.
 *
 *     hot_calls                  random traffic; prints the number of each call; 0: nothing blocked
 *     hot_calls planted_in_c     a nonblocking function calls the C library's malloc: reported
 *     hot_calls planted_in_rust  one calls mm_malloc_global, which locks and maps memory: reported
 *     MM_SEED, MM_OPS            the seed and the number of operations */
#include "memoman.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 256
#define POOL (256 * 1024)
#define HOT [[clang::nonblocking]]

enum call { MALLOC, CALLOC, MEMALIGN, REALLOC, REALLOC_ALIGNED,
            FREE, BLOCK_SIZE, STATS, EXTEND, REMOVE, CALLS };
static const char *const names[CALLS] = {
    "mm_malloc", "mm_calloc",     "mm_memalign", "mm_realloc",     "mm_realloc_aligned",
    "mm_free",   "mm_block_size", "mm_stats",    "mm_extend_pool", "mm_remove_pool"};

static unsigned char first[POOL], second[POOL];
static _Alignas(16) unsigned char control[64 * 1024];
static mm_allocator_t *heap;
static unsigned char *slots[SLOTS];
static size_t made[CALLS], served[CALLS], refused;
static uint64_t state;

static uint64_t next(void) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(0x2545F4914F6CDD1D);
}

static size_t below(size_t bound) {
    return (size_t)((next() >> 16) % bound);
}

static void *malloc_hot(size_t n) HOT {
    return mm_malloc(heap, n);
}
static void *calloc_hot(size_t count, size_t n) HOT {
    return mm_calloc(heap, count, n);
}
static void *memalign_hot(size_t align, size_t n) HOT {
    return mm_memalign(heap, align, n);
}
static void *realloc_hot(void *p, size_t n) HOT {
    return mm_realloc(heap, p, n);
}
static void *realloc_aligned_hot(void *p, size_t align, size_t n) HOT {
    return mm_realloc_aligned(heap, p, align, n);
}
static void free_hot(void *p) HOT {
    mm_free(heap, p);
}
static size_t block_size_hot(const void *p) HOT {
    return mm_block_size(p);
}
static int stats_hot(mm_stats_t *out) HOT {
    return mm_stats(heap, out, sizeof *out);
}
static int extend_hot(mm_pool_t *pool, size_t more) HOT {
    return mm_extend_pool(heap, pool, more);
}
static int remove_hot(void *memory) HOT {
    return mm_remove_pool(heap, memory);
}
static void *planted_in_c(size_t n) HOT {
    return malloc(n);
}
static void *planted_in_rust(size_t n) HOT {
    return mm_malloc_global(n);
}

static _Noreturn void wrong(const char *what);

/* The thread's own heap, once it has segments enough for its cache and its blocks: no lock, no
 * system call. */
static void *global_malloc_hot(size_t n) HOT {
    return mm_malloc_global(n);
}
static void global_free_hot(void *p) HOT {
    mm_free_global(p);
}
static void global_calls(unsigned long long total) {
    enum { KEPT = 40 };
    void *kept[KEPT] = {0};
    unsigned long long seed = 88172645463325252ull;
    for (unsigned long long i = 0; i < 2 * total; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        void **place = &kept[seed % KEPT];
        size_t bytes = 1 + (seed >> 20) % 1000;
        if (i < total) {
            mm_free_global(*place);
            *place = mm_malloc_global(bytes);
        } else {
            global_free_hot(*place);
            *place = global_malloc_hot(bytes);
        }
        if (!*place) wrong("a small global request was refused");
        memset(*place, 0x5A, 1);
    }
    for (int i = 0; i < KEPT; i++) global_free_hot(kept[i]);
    if (!mm_validate_global()) wrong("the global heap is not sound");
}

static void note(enum call call, int success) {
    made[call]++;
    served[call] += success != 0;
    refused += success == 0;
}

static _Noreturn void wrong(const char *what) {
    fprintf(stderr, "wrong: %s\n", what);
    exit(3);
}

static void one(void) {
    static size_t given = POOL / 2;
    unsigned char **slot = &slots[below(SLOTS)];
    size_t n = below(8) ? below(600) + 1 : below(20000) + 1, align = (size_t)1 << below(12);
    enum call call = (enum call)below(CALLS);
    mm_stats_t stats;
    void *p = NULL;
    switch (call) {
    case MALLOC:
    case CALLOC:
    case MEMALIGN:
        if (*slot) return;
        *slot = p = call == MALLOC   ? malloc_hot(n)
                    : call == CALLOC ? calloc_hot(n / 8 + 1, 8)
                                     : memalign_hot(align, n);
        note(call, p != NULL);
        break;
    case REALLOC:
    case REALLOC_ALIGNED:
        p = call == REALLOC ? realloc_hot(*slot, n) : realloc_aligned_hot(*slot, align, n);
        note(call, p != NULL);
        if (p) *slot = p;
        break;
    case FREE:
        free_hot(*slot);
        note(call, *slot != NULL);
        *slot = NULL;
        break;
    case BLOCK_SIZE: note(call, block_size_hot(*slot) != 0); break;
    case STATS: note(call, stats_hot(&stats)); break;
    case EXTEND:
        if (given + 64 <= POOL && below(50) == 0) {
            note(call, extend_hot(mm_get_pool_for_ptr(heap, first), 64));
            given += 64;
        }
        return;
    case REMOVE:
        /* Only an empty pool is removed; adding it again is not a hot call. */
        if (remove_hot(second)) {
            note(call, 1);
            if (!mm_add_pool(heap, second, POOL)) wrong("the pool is not taken again");
        } else {
            note(call, 0);
        }
        return;
    default: wrong("no such call");
    }
    if (p) memset(p, 0x5A, n < 64 ? n : 64);
}

int main(int count, char **arguments) {
    const char *seed = getenv("MM_SEED"), *operations = getenv("MM_OPS");
    unsigned long long start = seed ? strtoull(seed, NULL, 10) : 1,
                       total = operations ? strtoull(operations, NULL, 10) : 1000000;
    if (count > 1) {
        void *p =
            strcmp(arguments[1], "planted_in_c") == 0 ? planted_in_c(100) : planted_in_rust(100);
        printf("not reported: %p\n", p);
        return 0;
    }
    if (mm_size() > sizeof control) wrong("the control structure has grown");
    heap = mm_create(control);
    if (!heap || !mm_add_pool(heap, first, POOL / 2) || !mm_add_pool(heap, second, POOL))
        wrong("no heap");
    state = start * UINT64_C(0x9E3779B97F4A7C15) + 1;
    printf("seed %llu, %llu operations\n", start, total);
    for (unsigned long long i = 0; i < total; i++) {
        one();
        /* Empties the heap now and then, so that the second pool can be removed. */
        if (i % 20000 == 19999)
            for (size_t s = 0; s < SLOTS; s++) {
                free_hot(slots[s]);
                slots[s] = NULL;
            }
    }
    if (!mm_validate(heap)) wrong("the heap is not sound");
    for (int call = 0; call < CALLS; call++) {
        printf("%-18s %9zu made, %9zu served\n", names[call], made[call], served[call]);
        if (!served[call]) wrong("a call that was never served");
    }
    if (!refused) wrong("nothing was ever refused");
    global_calls(total);
    printf("%-18s %9llu made, and as many of mm_free_global\n", "mm_malloc_global", total);
    return 0;
}
