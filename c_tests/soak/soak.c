/* The soak test: the stress engine's random traffic without end over the handle API, the global
 * wrapper and the shim, each a test of its own, with live figures on one line. scripts/soak.sh
 * builds and runs it. The environment:
 *
 *   MM_SEED       the first round's seed; each round runs one engine, with the next seed
 *   MM_OPS        operations in all, 0: no limit
 *   SOAK_SECONDS  seconds, 0: no limit; the first limit reached ends the run
 *   SOAK_SHIM     the shim's file
 *   SOAK_BREAK    self-test: from this operation of a round on, a byte of a block is overwritten
 *
 * A failure is printed with its round's seed and operation; a run with that seed starts with that
 * round. */
#include "../support/engine.h"

#include <dlfcn.h>
#include <malloc.h>
#include <time.h>
#include <unistd.h>

#define ROUND ((size_t)1 << 20)

static struct soak {
    const char *name;
    double began, seconds, said;
    size_t operations, limit, rounds;
    size_t peak, broken_at;
    uint64_t worst_ns;
} soak;

static double now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void say(const engine *e, const char *end) {
    mm_stats_t stats = e->front->stats((engine *)(uintptr_t)e);
    double passed = now() - soak.began, operations = (double)(soak.operations + e->number);
    /* The part of the free memory that the largest request cannot get. */
    double torn = stats.free ? 100.0 * (1.0 - (double)stats.largest / (double)stats.free) : 0;
    printf("soak %-6s %14.0f operations  %6.0f s  %5.2f M/s  live %7.0f KB  peak %7.0f KB  "
           "fragmentation %3.0f %%  worst %8.1f us  seed %llu%s",
           soak.name, operations, passed, operations / passed * 1e-6, (double)stats.used / 1024,
           (double)(stats.peak > soak.peak ? stats.peak : soak.peak) / 1024, torn,
           (double)(e->worst_ns > soak.worst_ns ? e->worst_ns : soak.worst_ns) / 1000,
           (unsigned long long)e->seed, end);
    fflush(stdout);
}

/* Once a second on a terminal, once a minute in a log. */
static int watch(engine *e) {
    if (soak.broken_at && e->number >= soak.broken_at)
        for (size_t i = 0; i < ENGINE_SLOTS; i++)
            if (e->slots[i].block) {
                e->slots[i].block[0] ^= 1;
                break;
            }
    double at = now(), every = isatty(STDOUT_FILENO) ? 1 : 60;
    if (at - soak.said >= every) {
        soak.said = at;
        say(e, isatty(STDOUT_FILENO) ? " \r" : "\n");
    }
    return soak.seconds > 0 && at - soak.began >= soak.seconds;
}

static void soak_run(const char *name, const engine_front *front) {
    uint64_t seed = engine_seed(1);
    memset(&soak, 0, sizeof soak);
    soak.name = name;
    soak.limit = engine_operations(0);
    soak.seconds = (double)suite_env("SOAK_SECONDS", 0);
    soak.broken_at = (size_t)suite_env("SOAK_BREAK", 0);
    soak.began = soak.said = now();
    for (;; soak.rounds++, seed++) {
        size_t left = soak.limit && soak.limit - soak.operations < ROUND
                          ? soak.limit - soak.operations
                          : ROUND;
        mm_allocator_t *allocator = NULL;
        if (front == &engine_handle)
            allocator = seed % 2 ? heap_bare() : heap_bare_for(100000);
        engine *e =
            engine_new(name, allocator, seed, left, (engine_mix)(seed % (MIX_HUGE_RARELY + 1)));
        e->front = front;
        e->fixed_pools = seed % 4 == 3;
        e->watch = watch;
        e->validate_every = 256;
        e->compare_every = 4096;
        engine_run(e);
        int enough = (soak.seconds > 0 && now() - soak.began >= soak.seconds) ||
                     (soak.limit && soak.operations + e->number >= soak.limit);
        if (enough) say(e, "\n");
        soak.operations += e->number;
        mm_stats_t stats = front->stats(e);
        if (stats.peak > soak.peak) soak.peak = stats.peak;
        if (e->worst_ns > soak.worst_ns) soak.worst_ns = e->worst_ns;
        /* No block is live. The pools that a process-wide heap keeps must not grow from round to
         * round. */
        if (!allocator && stats.pool_bytes > 4 * soak.peak + ((size_t)32 << 20))
            suite_fail(__FILE__, __LINE__,
                       "%s has %zu KiB of pools after a peak of %zu KiB in use [seed %llu]", name,
                       stats.pool_bytes >> 10, soak.peak >> 10, (unsigned long long)seed);
        engine_free(e);
        suite_release();
        if (enough) return;
    }
}

TEST(soak, handle) {
    soak_run("handle", &engine_handle);
}

static void *global_malloc(engine *e, size_t bytes) {
    (void)e;
    return mm_malloc_global(bytes);
}
static void *global_calloc(engine *e, size_t count, size_t size) {
    (void)e;
    return mm_calloc_global(count, size);
}
static void *global_memalign(engine *e, size_t align, size_t bytes) {
    (void)e;
    return mm_memalign_global(align, bytes);
}
static void *global_realloc(engine *e, void *ptr, size_t bytes) {
    (void)e;
    return mm_realloc_global(ptr, bytes);
}
static void global_free(engine *e, void *ptr) {
    (void)e;
    mm_free_global(ptr);
}
static int global_validate(engine *e) {
    (void)e;
    return mm_validate_global();
}
static mm_stats_t global_stats(engine *e) {
    mm_stats_t stats;
    (void)e;
    CHECK_EQ(mm_stats_global(&stats, sizeof stats), 1);
    return stats;
}

/* The figures count a cached block of more than 2 KiB with the least bytes of its class, a
 * sixteenth less at most. */
static size_t global_beyond(const mm_stats_t *stats) {
    return stats->free / 16;
}

static const engine_front global_front = {
    global_malloc, global_calloc, global_memalign, global_realloc, NULL,
    global_free,   mm_block_size, global_validate, global_stats,  global_beyond,
};

TEST(soak, global) {
    soak_run("global", &global_front);
}

/* The shim's functions, loaded by name: the program's malloc is the C library's. With
 * RTLD_DEEPBIND, the shim's functions find each other by name. */
static struct shim {
    void *(*malloc)(size_t), *(*calloc)(size_t, size_t), *(*realloc)(void *, size_t),
        *(*memalign)(size_t, size_t);
    void (*free)(void *);
    size_t (*usable)(void *);
    struct mallinfo2 (*info)(void);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*reallocarray)(void *, size_t, size_t), *(*aligned_alloc)(size_t, size_t);
} shim;

static void find(void *library, const char *name, void *place) {
    void *symbol = dlsym(library, name);
    if (!symbol) suite_fail(__FILE__, __LINE__, "the shim has no %s", name);
    memcpy(place, &symbol, sizeof symbol);
}

static void *shim_malloc(engine *e, size_t bytes) {
    (void)e;
    return shim.malloc(bytes);
}
static void *shim_calloc(engine *e, size_t count, size_t size) {
    (void)e;
    return shim.calloc(count, size);
}
/* The three functions for aligned blocks in turn. */
static void *shim_memalign(engine *e, size_t align, size_t bytes) {
    void *block = NULL;
    if (e->number % 3 == 0) return shim.memalign(align, bytes);
    if (e->number % 3 == 1) return shim.aligned_alloc(align, bytes);
    if (align < sizeof(void *)) align = sizeof(void *);
    return shim.posix_memalign(&block, align, bytes) == 0 ? block : NULL;
}
static void *shim_realloc(engine *e, void *ptr, size_t bytes) {
    return e->number % 2 ? shim.realloc(ptr, bytes) : shim.reallocarray(ptr, 1, bytes);
}
static void shim_free(engine *e, void *ptr) {
    (void)e;
    shim.free(ptr);
}
static size_t shim_usable(const void *ptr) {
    return shim.usable((void *)(uintptr_t)ptr);
}
/* The shim exports no validation: this compares its figures. */
static int shim_validate(engine *e) {
    (void)e;
    struct mallinfo2 info = shim.info();
    return info.uordblks + info.fordblks <= info.arena;
}
static mm_stats_t shim_stats(engine *e) {
    struct mallinfo2 info = shim.info();
    mm_stats_t stats = {0};
    stats.pool_bytes = info.arena + info.hblkhd;
    stats.used = info.uordblks + info.hblkhd;
    stats.free = info.fordblks;
    stats.overhead = info.arena - info.uordblks - info.fordblks;
    stats.peak = info.usmblks;
    stats.largest = info.keepcost;
    stats.live_blocks = e->live;
    stats.failed_requests = e->failed;
    return stats;
}

/* The mapping of a large block ends less than 128 KiB after its usable bytes, or a third of its own
 * bytes. */
static size_t shim_beyond(const mm_stats_t *stats) {
    struct mallinfo2 info = shim.info();
    return global_beyond(stats) + (info.hblks << 17) + info.hblkhd / 3;
}

static const engine_front shim_front = {
    shim_malloc, shim_calloc, shim_memalign, shim_realloc, NULL,
    shim_free,   shim_usable, shim_validate, shim_stats,   shim_beyond,
};

TEST(soak, shim) {
    const char *file = getenv("SOAK_SHIM");
    void *library = file ? dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND) : NULL;
    if (!library)
        suite_fail(__FILE__, __LINE__, "no shim: %s", file ? dlerror() : "SOAK_SHIM is not set");
    find(library, "malloc", &shim.malloc);
    find(library, "calloc", &shim.calloc);
    find(library, "realloc", &shim.realloc);
    find(library, "memalign", &shim.memalign);
    find(library, "free", &shim.free);
    find(library, "malloc_usable_size", &shim.usable);
    find(library, "mallinfo2", &shim.info);
    find(library, "posix_memalign", &shim.posix_memalign);
    find(library, "reallocarray", &shim.reallocarray);
    find(library, "aligned_alloc", &shim.aligned_alloc);
    CHECK(shim.malloc != malloc);
    soak_run("shim", &shim_front);
}
