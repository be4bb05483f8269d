// The process-wide lock inherits priority: while a thread of low priority holds it and one of high
// priority waits for it, a busy thread of middle priority does not keep the low one from running.
// SCHED_FIFO, all on one processor. The lock inherits in the real-time configuration only, in which
// the reserve holds large blocks, under the lock.
// env: MEMOMAN_RESERVE=64M
// env: MEMOMAN_GROW=0
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <time.h>

enum { LOW = 10, MIDDLE = 20, HIGH = 30, ROUNDS = 150, LARGE = 8 << 20 };

static sem_t middle_starts, middle_ended;
static int high_done, stop;
static unsigned waited, given_up;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Holds the lock much of the time: large blocks come and go. */
static void *low(void *unused) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        char *block = opaque(malloc(LARGE));
        if (block == NULL) _exit(3);
        free(block);
    }
    return unused;
}

/* Spins until the high thread is done: soon, or, with inverted priority, never. */
static void *middle(void *unused) {
    for (;;) {
        sem_wait(&middle_starts);
        if (__atomic_load_n(&stop, __ATOMIC_RELAXED)) return unused;
        double end = now() + 0.3;
        while (!__atomic_load_n(&high_done, __ATOMIC_ACQUIRE))
            if (now() > end) {
                given_up++;
                break;
            }
        sem_post(&middle_ended);
    }
}

static void *high(void *unused) {
    uint64_t state = chosen_seed();
    for (int round = 0; round < ROUNDS; round++) {
        struct rusage before, after;
        __atomic_store_n(&high_done, 0, __ATOMIC_RELEASE);
        usleep((useconds_t)(500 + random_next(&state) % 3000));
        /* The low thread is preempted at an arbitrary place; the middle one is ready, and runs as
         * soon as this one waits. */
        sem_post(&middle_starts);
        getrusage(RUSAGE_THREAD, &before);
        free(malloc(300000));
        getrusage(RUSAGE_THREAD, &after);
        __atomic_store_n(&high_done, 1, __ATOMIC_RELEASE);
        if (after.ru_nvcsw > before.ru_nvcsw) waited++;
        sem_wait(&middle_ended);
        if (given_up > 3) break;
    }
    return unused;
}

static int started(pthread_t *thread, void *(*run)(void *), int priority) {
    pthread_attr_t attributes;
    struct sched_param parameters = {.sched_priority = priority};
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    pthread_attr_init(&attributes);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
    pthread_attr_setschedparam(&attributes, &parameters);
    pthread_attr_setaffinity_np(&attributes, sizeof one, &one);
    return pthread_create(thread, &attributes, run, NULL);
}

int main(void) {
    static const char name[] = "the_lock_inherits_priority";
    alarm(120);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    sem_init(&middle_starts, 0, 0);
    sem_init(&middle_ended, 0, 0);
    pthread_t threads[3];
    int refused = started(&threads[0], middle, MIDDLE);
    if (refused == EPERM) {
        skipped(name, "this user may not have SCHED_FIFO threads");
        return 0;
    }
    CHECK(refused == 0);
    CHECK(started(&threads[1], high, HIGH) == 0 && started(&threads[2], low, LOW) == 0);
    CHECK(pthread_join(threads[1], NULL) == 0);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    sem_post(&middle_starts);
    CHECK(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[2], NULL) == 0);
    printf("waited for the lock in %u of %d rounds; the middle thread gave up in %u\n", waited,
           ROUNDS, given_up);
    CHECK(given_up == 0);
    /* Otherwise the lock was never contended. */
    CHECK(waited > 0);
    passed(name);
    return 0;
}
