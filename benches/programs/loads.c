/* The loads of `make bench-global`: loads NAME TIMES, under a preloaded allocator. Prints the peak
 * memory of the process, in KiB. Without arguments: prints the names. Seeds are fixed. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 2 };

static long times;

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

/* 8 to 1,023 bytes, every power of two equally likely. */
static size_t some_size(uint64_t *state) {
    uint64_t power = 3 + next(state) % 7;
    return (size_t)1 << power | next(state) % ((size_t)1 << power);
}

/* The process's own peak, which the kernel counts from `exec` on. The peak that a parent reads from
 * `wait4` is never below the parent's own size. */
static long peak_kib(void) {
    char text[4096];
    int file = open("/proc/self/status", O_RDONLY);
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length < 0) abort();
    text[length] = 0;
    const char *peak = strstr(text, "VmHWM:");
    if (peak == NULL) abort();
    return strtol(peak + 6, NULL, 10);
}

/* Allocates and touches both ends. */
static void *had(size_t bytes) {
    char *block = malloc(bytes);
    if (block == NULL) abort();
    block[0] = block[bytes - 1] = 1;
    return block;
}

static uint64_t seeded(void *number) {
    return 88172645463325252u + 7919 * (uintptr_t)number;
}

/* Each thread replaces random ones of 10,000 blocks of 8 to 1,023 bytes. */
static void *random_sizes(void *number) {
    static __thread void *blocks[10000];
    uint64_t state = seeded(number);
    for (long i = 0; i < times * 1000; i++) {
        size_t at = next(&state) % 10000;
        free(blocks[at]);
        blocks[at] = had(some_size(&state));
    }
    for (int i = 0; i < 10000; i++) free(blocks[i]);
    return NULL;
}

/* Each thread allocates 20,000 blocks of 16 to 255 bytes and frees them in random order. */
static void *batch(void *number) {
    static __thread void *blocks[20000];
    uint64_t state = seeded(number);
    for (long round = 0; round < times / 20 + 1; round++) {
        for (int i = 0; i < 20000; i++) blocks[i] = had(16 + next(&state) % 240);
        for (size_t i = 19999; i > 0; i--) {
            size_t at = next(&state) % (i + 1);
            void *other = blocks[i];
            blocks[i] = blocks[at], blocks[at] = other;
        }
        for (int i = 0; i < 20000; i++) free(blocks[i]);
    }
    return NULL;
}

/* Each thread allocates 64 bytes and frees them at once. */
static void *tight(void *number) {
    (void)number;
    for (long i = 0; i < times * 2000; i++) {
        void *volatile block = had(64);
        free(block);
    }
    return NULL;
}

/* Each thread puts a block of 8 to 1,023 bytes into one of 4,096 shared places and frees the block
 * that was there: half of its frees are of the other thread's blocks. */
static void *handed_over(void *number) {
    static void *places[4096];
    uint64_t state = seeded(number);
    for (long i = 0; i < times * 500; i++) {
        void *block = had(some_size(&state));
        free(__atomic_exchange_n(&places[next(&state) % 4096], block, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

/* One thread allocates blocks of 16 to 127 bytes, the other frees them; at most 1,024 are live. */
static void *produce_consume(void *number) {
    static void *volatile ring[1024];
    static long made, taken;
    uint64_t state = seeded(number);
    for (long i = 0; i < times * 500; i++) {
        if (number == NULL) {
            void *block = had(16 + next(&state) % 112);
            while (i - __atomic_load_n(&taken, __ATOMIC_ACQUIRE) >= 1024) sched_yield();
            ring[i % 1024] = block;
            __atomic_store_n(&made, i + 1, __ATOMIC_RELEASE);
        } else {
            while (__atomic_load_n(&made, __ATOMIC_ACQUIRE) <= i) sched_yield();
            free(ring[i % 1024]);
            __atomic_store_n(&taken, i + 1, __ATOMIC_RELEASE);
        }
    }
    return NULL;
}

/* One thread grows random ones of 256 vectors by a half, from 16 bytes to 64 KiB; a full one is
 * freed and starts over. */
static void *grow(void *number) {
    static char *vectors[256];
    static size_t sizes[256];
    uint64_t state = seeded(number);
    for (long i = 0; i < times * 100; i++) {
        size_t at = next(&state) % 256, bytes = sizes[at] ? sizes[at] + sizes[at] / 2 + 1 : 16;
        if (bytes > 64 << 10) {
            free(vectors[at]);
            vectors[at] = NULL, sizes[at] = 0;
            continue;
        }
        vectors[at] = realloc(vectors[at], bytes);
        if (vectors[at] == NULL) abort();
        vectors[at][bytes - 1] = 1, sizes[at] = bytes;
    }
    for (int i = 0; i < 256; i++) free(vectors[i]);
    return NULL;
}

/* Each thread replaces random ones of 16 buffers of 64 to 576 KiB and writes to all their pages. */
static void *large(void *number) {
    static __thread char *buffers[16];
    uint64_t state = seeded(number);
    for (long i = 0; i < times * 4; i++) {
        size_t at = next(&state) % 16, bytes = (64 << 10) + next(&state) % (512 << 10);
        free(buffers[at]);
        buffers[at] = had(bytes);
        for (size_t page = 0; page < bytes; page += 4096) buffers[at][page] = 1;
    }
    for (int i = 0; i < 16; i++) free(buffers[i]);
    return NULL;
}

static void *short_life(void *number) {
    uint64_t state = seeded(number);
    void *blocks[100];
    for (int i = 0; i < 100; i++) blocks[i] = had(some_size(&state));
    for (int i = 0; i < 100; i++) free(blocks[i]);
    return NULL;
}

/* Threads, one after the other, each allocate and free 100 blocks of 8 to 1,023 bytes. */
static void *churn(void *number) {
    (void)number;
    for (long i = 0; i < times * 2; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, short_life, NULL) != 0) abort();
        pthread_join(thread, NULL);
    }
    return NULL;
}

/* Each thread allocates 24 bytes, adds to a counter in them 20,000 times, and frees them: slow when
 * blocks of two threads share a cache line. */
static void *neighbours(void *number) {
    (void)number;
    for (long round = 0; round < times / 5 + 1; round++) {
        long *own = had(24);
        *own = 0;
        for (long i = 0; i < 20000; i++) __atomic_fetch_add(own, 1, __ATOMIC_RELAXED);
        free(own);
    }
    return NULL;
}

/* One thread keeps 50,000 blocks of 16 to 2,063 bytes, whose mean size drifts up and down: holes of
 * one size must serve requests of another. */
static void *drift(void *number) {
    enum { COUNT = 50000 };
    static void *blocks[COUNT];
    uint64_t state = seeded(number);
    for (long i = 0; i < times * 300; i++) {
        size_t at = next(&state) % COUNT, phase = (size_t)(i / 60000) % 16;
        free(blocks[at]);
        blocks[at] = had(16 + next(&state) % 256 + (phase < 8 ? phase : 15 - phase) * 256);
    }
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    return NULL;
}

/* One thread allocates up to 1,600 blocks of one size and frees them, first to last or last to
 * first: sizes of 16 to 4,096 bytes, 25 to 1,600 blocks. */
static void *fill_and_empty(void *number) {
    static void *blocks[1600];
    (void)number;
    for (long round = 0; round < times / 100 + 1; round++)
        for (size_t bytes = 16; bytes <= 4096; bytes *= 2)
            for (int count = 25; count <= 1600; count *= 4)
                for (int turn = 0; turn < 3200 / count; turn++) {
                    for (int i = 0; i < count; i++) blocks[i] = had(bytes);
                    for (int i = 0; i < count; i++) free(blocks[turn & 1 ? count - 1 - i : i]);
                }
    return NULL;
}

/* One thread allocates 64 bytes a thousand times, the other frees these blocks; at most eight such
 * batches are under way. */
static void *batches_over(void *number) {
    enum { BATCH = 1000, SLOTS = 8 };
    static void *ring[SLOTS][BATCH];
    static long made, taken;
    for (long i = 0; i < times; i++) {
        void **slot = ring[i % SLOTS];
        if (number == NULL) {
            while (i - __atomic_load_n(&taken, __ATOMIC_ACQUIRE) >= SLOTS) sched_yield();
            for (int k = 0; k < BATCH; k++) slot[k] = had(64);
            __atomic_store_n(&made, i + 1, __ATOMIC_RELEASE);
        } else {
            while (__atomic_load_n(&made, __ATOMIC_ACQUIRE) <= i) sched_yield();
            for (int k = 0; k < BATCH; k++) free(slot[k]);
            __atomic_store_n(&taken, i + 1, __ATOMIC_RELEASE);
        }
    }
    return NULL;
}

/* One thread allocates 64 bytes 4,096 times, the other frees these blocks, the newest batch first;
 * at most 100 batches wait. */
static void *batches_deep(void *number) {
    enum { BATCH = 4096, DEPTH = 100 };
    static void **waiting[DEPTH];
    static int count;
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    for (long i = 0; i < times / 4 + 1; i++) {
        void **batch = NULL;
        if (number == NULL) {
            batch = had(BATCH * sizeof *batch);
            for (int k = 0; k < BATCH; k++) batch[k] = had(64);
        }
        for (int done = 0; !done;) {
            pthread_mutex_lock(&mutex);
            if (number == NULL && count < DEPTH) waiting[count++] = batch, done = 1;
            if (number != NULL && count > 0) batch = waiting[--count], done = 1;
            pthread_mutex_unlock(&mutex);
            if (!done) sched_yield();
        }
        if (number == NULL) continue;
        for (int k = 0; k < BATCH; k++) free(batch[k]);
        free(batch);
    }
    return NULL;
}

/* One thread allocates 200,000 blocks, mostly of 8 and 16 bytes, and frees four fifths of them; the
 * others live until the next round. */
static void *survivors(void *number) {
    enum { COUNT = 200000, STAY = COUNT / 5 };
    static void *blocks[COUNT];
    uint64_t state = seeded(number);
    for (long round = 0; round < times / 200 + 1; round++) {
        int stay = (int)(round % 5) * STAY;
        for (int i = 0; i < COUNT; i++)
            if (blocks[i] == NULL) {
                uint64_t kind = next(&state) % 8;
                blocks[i] = had(kind < 6 ? 8 + kind / 3 * 8 : kind == 6 ? 48 : 200);
            }
        for (int i = 0; i < COUNT; i++)
            if (i < stay || i >= stay + STAY) free(blocks[i]), blocks[i] = NULL;
    }
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    return NULL;
}

/* One thread replaces random ones of ten buffers of 5 to 25 MiB and writes to every fourth page. */
static void *huge(void *number) {
    static char *buffers[10];
    uint64_t state = seeded(number);
    for (long i = 0; i < times / 10 + 1; i++) {
        size_t at = next(&state) % 10, bytes = (5 << 20) + next(&state) % (20 << 20);
        free(buffers[at]);
        buffers[at] = had(bytes);
        for (size_t page = 0; page < bytes; page += 4 * 4096) buffers[at][page] = 1;
    }
    for (int i = 0; i < 10; i++) free(buffers[i]);
    return NULL;
}

/* Two threads at a time replace random ones of 2,000 objects of 8 to 1,023 bytes each; then new
 * threads go on with the objects of the old ones. */
static void *objects[THREADS][2000];

static void *serve(void *number) {
    void **own = objects[(uintptr_t)number % THREADS];
    uint64_t state = seeded(number);
    for (int i = 0; i < 10000; i++) {
        size_t at = next(&state) % 2000;
        free(own[at]);
        own[at] = had(some_size(&state));
    }
    return NULL;
}

static void *server(void *number) {
    (void)number;
    pthread_t threads[THREADS];
    for (long round = 0; round < times / 10 + 1; round++) {
        for (uintptr_t k = 0; k < THREADS; k++)
            if (pthread_create(&threads[k], NULL, serve, (void *)(k + THREADS * round)) != 0)
                abort();
        for (int k = 0; k < THREADS; k++) pthread_join(threads[k], NULL);
    }
    for (int i = 0; i < THREADS * 2000; i++) free(objects[i % THREADS][i / THREADS]);
    return NULL;
}

/* Four threads at a time allocate blocks of 16 bytes to 64 KiB, mostly small ones, free most of
 * them, leave some in shared places, and end. */
static void *places[1000];

static void *mixed(void *number) {
    enum { COUNT = 400 };
    void *blocks[COUNT] = {NULL};
    uint64_t state = seeded(number);
    for (int i = 0; i < 4000; i++) {
        size_t at = next(&state) % COUNT, bytes = some_size(&state);
        if (next(&state) % 50 == 0) bytes *= 64;
        void *block = had(bytes + 8);
        if (next(&state) % 20 == 0)
            free(__atomic_exchange_n(&places[next(&state) % 1000], block, __ATOMIC_ACQ_REL));
        else
            free(blocks[at]), blocks[at] = block;
    }
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    return NULL;
}

static void *generations(void *number) {
    enum { AT_ONCE = 4 };
    (void)number;
    pthread_t threads[AT_ONCE];
    for (long round = 0; round < times / 20 + 1; round++) {
        for (uintptr_t k = 0; k < AT_ONCE; k++)
            if (pthread_create(&threads[k], NULL, mixed, (void *)(k + AT_ONCE * round)) != 0)
                abort();
        for (int k = 0; k < AT_ONCE; k++) pthread_join(threads[k], NULL);
    }
    for (int i = 0; i < 1000; i++) free(places[i]);
    return NULL;
}

/* One thread appends 1,000 bytes at a time to each of four buffers in turn, until each has 4 MiB;
 * it frees them and starts over. */
static void *append(void *number) {
    static char *buffers[4];
    (void)number;
    for (long round = 0; round < times / 400 + 1; round++) {
        for (size_t bytes = 1000; bytes <= 4 << 20; bytes += 1000)
            for (int i = 0; i < 4; i++) {
                buffers[i] = realloc(buffers[i], bytes);
                if (buffers[i] == NULL) abort();
                memset(buffers[i] + bytes - 1000, 1, 1000);
            }
        for (int i = 0; i < 4; i++) free(buffers[i]), buffers[i] = NULL;
    }
    return NULL;
}

static const struct {
    const char *name;
    void *(*work)(void *);
    int threads;
} loads[] = {
    {"random", random_sizes, 1},
    {"batch", batch, 1},
    {"tight", tight, 1},
    {"realloc", grow, 1},
    {"drift", drift, 1},
    {"churn", churn, 1},
    {"large", large, 1},
    {"fill-and-empty", fill_and_empty, 1},
    {"append", append, 1},
    {"huge", huge, 1},
    {"survivors", survivors, 1},
    {"random-2", random_sizes, 2},
    {"batch-2", batch, 2},
    {"tight-2", tight, 2},
    {"handed-over", handed_over, 2},
    {"produce-consume", produce_consume, 2},
    {"large-2", large, 2},
    {"neighbours", neighbours, 2},
    {"batches-over", batches_over, 2},
    {"batches-deep", batches_deep, 2},
    {"server", server, 1},
    {"generations", generations, 1},
};

int main(int count, char **arguments) {
    if (count < 3) {
        for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) puts(loads[i].name);
        return 0;
    }
    times = atol(arguments[2]);
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        if (strcmp(loads[i].name, arguments[1]) != 0) continue;
        pthread_t threads[THREADS];
        for (uintptr_t k = 1; k < (uintptr_t)loads[i].threads; k++)
            if (pthread_create(&threads[k], NULL, loads[i].work, (void *)k) != 0) abort();
        loads[i].work(NULL);
        for (int k = 1; k < loads[i].threads; k++) pthread_join(threads[k], NULL);
        printf("%ld\n", peak_kib());
        return 0;
    }
    return 2;
}
