// Four threads, 20,000 blocks each, some handed to the next thread, contents checked. Prints the
// time, and the highest address of a block: beyond 47 bits on a kernel with 48.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 4, BLOCKS = 20000, LIVE = 64 };
static char *handed[THREADS];
static uintptr_t highest;

static void *work(void *number) {
    unsigned me = (unsigned)(uintptr_t)number;
    uint64_t state = 88172645463325252u + me;
    char *live[LIVE] = {0};
    for (int i = 0; i < BLOCKS; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        char **place = &live[state % LIVE];
        size_t bytes = 16 + state / LIVE % (i % 1000 == 0 ? 400000 : 2000);
        if (*place != NULL && (*place)[0] != (char)me) abort();
        if (i % 8 == 0)
            *place = __atomic_exchange_n(&handed[(me + 1) % THREADS], *place, __ATOMIC_ACQ_REL);
        free(*place);
        *place = malloc(bytes);
        if (*place == NULL) abort();
        memset(*place, (char)me, 16);
        uintptr_t seen = __atomic_load_n(&highest, __ATOMIC_RELAXED);
        if ((uintptr_t)*place > seen)
            __atomic_store_n(&highest, (uintptr_t)*place, __ATOMIC_RELAXED);
    }
    for (int i = 0; i < LIVE; i++) free(live[i]);
    return NULL;
}

int main(int count, char **arguments) {
    struct timespec begin, end;
    pthread_t threads[THREADS];
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - begin.tv_sec);
    seconds += (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
    printf("arm64: %s %.3f s, highest address %#lx\n", count > 0 ? arguments[0] : "", seconds,
           (unsigned long)highest);
    return 0;
}
