/* How long single calls of malloc and free take, for `make latency-global`: latency TURNS, under a
 * preloaded allocator.
 *
 * Two busy threads each hold 512 blocks of 16 to 4,095 bytes, every power of two equally likely,
 * and replace a random one at each turn. A quarter of the blocks goes to the other thread, which
 * frees them. Each malloc and each free is timed with the processor's time stamp, and as often no
 * call at all, which shows what the machine adds.
 *
 * Prints "ordinary 1 0" when SCHED_FIFO is not permitted ("ordinary 0 0" else), "rate" with the
 * ticks of a nanosecond, and for each kind a line for each class of times: its lower end in ticks
 * and its number of calls; then "KIND-sum TICKS CALLS" and "KIND-most TICKS 1". A class is a 32nd
 * of a power of two wide. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

enum { THREADS = 2, OWN = 512, HANDED = 1024, STEPS = 32, CLASSES = 64 * STEPS };
enum { MALLOC, FREE, NOTHING, KINDS };

static const char *names[KINDS] = {"malloc", "free", "nothing"};
static uint64_t counts[THREADS][KINDS][CLASSES], sums[THREADS][KINDS], most[THREADS][KINDS];
static void *handed[THREADS][HANDED], *own[THREADS][OWN];
static unsigned long turns;
static int ready, ordinary;

static uint64_t stamp(void) {
    unsigned processor;
    uint64_t time = __rdtscp(&processor);
    _mm_lfence();
    return time;
}

static unsigned class_of(uint64_t ticks) {
    if (ticks < STEPS) return (unsigned)ticks;
    unsigned power = 63 - (unsigned)__builtin_clzll(ticks);
    return (power - 4) * STEPS + (unsigned)(ticks >> (power - 5)) % STEPS;
}

static uint64_t lower_end(unsigned class) {
    if (class < STEPS) return class;
    unsigned power = class / STEPS + 4;
    return (uint64_t)(STEPS + class % STEPS) << (power - 5);
}

static void note(int thread, int kind, uint64_t ticks) {
    counts[thread][kind][class_of(ticks)]++;
    sums[thread][kind] += ticks;
    if (ticks > most[thread][kind]) most[thread][kind] = ticks;
}

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

static void *works(void *number) {
    int me = (int)(uintptr_t)number;
    uint64_t state = 88172645463325252u + (uint64_t)me;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(me, &set);
    sched_setaffinity(0, sizeof set, &set);
    /* Where permitted, no other program interrupts. */
    struct sched_param priority = {.sched_priority = 10};
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) != 0) ordinary = 1;
    /* Before the first call counts, everything is in memory and both threads have allocated. */
    memset(counts[me], 0, sizeof counts[me]);
    for (unsigned long turn = 0, warm = turns / 10; turn < turns + warm; turn++) {
        if (turn == warm) {
            memset(counts[me], 0, sizeof counts[me]);
            memset(sums[me], 0, sizeof sums[me]);
            memset(most[me], 0, sizeof most[me]);
            __atomic_add_fetch(&ready, 1, __ATOMIC_ACQ_REL);
            while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < THREADS) sched_yield();
        }
        /* Other programs may run. */
        if (turn % 65536 == 65535) usleep(20000);
        void **place = &own[me][next(&state) % OWN];
        void *old = *place;
        size_t bytes = ((size_t)16 << next(&state) % 8), exact = bytes + next(&state) % bytes;
        if (next(&state) % 4 == 0) {
            void **other = &handed[1 - me][next(&state) % HANDED];
            old = __atomic_exchange_n(other, old, __ATOMIC_ACQ_REL);
        }
        uint64_t before = stamp();
        free(old);
        uint64_t between = stamp();
        char *new = malloc(exact);
        uint64_t after = stamp();
        uint64_t last = stamp();
        if (new == NULL) exit(3);
        new[0] = 1;
        *place = new;
        note(me, FREE, between - before);
        note(me, MALLOC, after - between);
        note(me, NOTHING, last - after);
        /* A block that the other thread has handed over. */
        void **from = &handed[me][next(&state) % HANDED];
        void *got = __atomic_exchange_n(from, NULL, __ATOMIC_ACQ_REL);
        before = stamp();
        free(got);
        after = stamp();
        if (got) note(me, FREE, after - before);
    }
    return NULL;
}

static double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void print(const char *kind, const char *what, uint64_t ticks, uint64_t calls) {
    printf("%s%s %lu %lu\n", kind, what, (unsigned long)ticks, (unsigned long)calls);
}

int main(int count, char **arguments) {
    turns = count > 1 ? strtoul(arguments[1], NULL, 10) : 1000000;
    double began = seconds();
    uint64_t first = stamp();
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, works, (void *)i) != 0) return 2;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    printf("ordinary %d 0\n", ordinary);
    printf("rate %.6f\n", (double)(stamp() - first) / (seconds() - began) / 1e9);
    for (int kind = 0; kind < KINDS; kind++) {
        uint64_t sum = 0, greatest = 0, calls = 0;
        for (int thread = 0; thread < THREADS; thread++) {
            sum += sums[thread][kind];
            if (most[thread][kind] > greatest) greatest = most[thread][kind];
        }
        for (unsigned class = 0; class < CLASSES; class++) {
            uint64_t all = 0;
            for (int thread = 0; thread < THREADS; thread++) all += counts[thread][kind][class];
            if (all) print(names[kind], "", lower_end(class), all);
            calls += all;
        }
        print(names[kind], "-sum", sum, calls);
        print(names[kind], "-most", greatest, 1);
    }
    return 0;
}
