// Four threads at a time with heaps of some 400 KiB end, leave a few blocks, and are followed by
// four others: these find the pages of the heaps before them in memory. Of many heaps whose threads
// end, few stay in memory.
// link: -lpthread
#include "check.h"
#include <sys/resource.h>

enum { AT_ONCE = 4, ROUNDS = 60, WARM = 10, MANY = 48, COUNT = 1200, LEFT = 40 };

static pthread_barrier_t all_there;
static void *left[MANY][COUNT / LEFT];

static void *lives(void *number) {
    uint64_t state = 88172645463325252u + (uintptr_t)number;
    void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        size_t bytes = 16 + random_next(&state) % 600;
        blocks[i] = malloc(bytes);
        CHECK(blocks[i]);
        memset(blocks[i], 1, bytes);
    }
    pthread_barrier_wait(&all_there);
    for (int i = 0; i < COUNT; i++) {
        void **place = &left[(uintptr_t)number][i / LEFT];
        if (i % LEFT == 0) free(*place), *place = blocks[i];
        else free(blocks[i]);
    }
    return NULL;
}

static void generation(int count) {
    pthread_t threads[MANY];
    CHECK(pthread_barrier_init(&all_there, NULL, (unsigned)count) == 0);
    for (uintptr_t i = 0; i < (uintptr_t)count; i++)
        CHECK(pthread_create(&threads[i], NULL, lives, (void *)i) == 0);
    for (int i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    pthread_barrier_destroy(&all_there);
}

static long faults(void) {
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_minflt;
}

int main(void) {
    long before = 0;
    for (int i = 0; i < ROUNDS; i++) {
        if (i == WARM) before = faults();
        generation(AT_ONCE);
    }
    long each = (faults() - before) / ((ROUNDS - WARM) * AT_ONCE);
    printf("page faults of a thread: %ld\n", each);
    /* A stack and what else a thread touches. The free pages of its heap are 48. */
    CHECK(each < 16);
    passed("a_threads_heap_is_in_memory_for_the_next_thread");

    size_t settled = resident();
    generation(MANY);
    size_t now = resident();
    printf("KiB in memory after %d threads: %zu, before: %zu\n", MANY, now >> 10, settled >> 10);
    /* 2 MiB of warm heaps, 8 MiB of the process-wide instance, structures and stacks; the blocks
     * were 18 MiB. */
    CHECK(now < settled + (12 << 20));
    passed("few_heaps_of_ended_threads_stay_in_memory");
    return 0;
}
