// The real-time configuration: after the start no call makes a system call (a filter ends the
// process), except where two threads need the process-wide lock at the same time and one waits. No
// page fault occurs. When the reserve is used up: ENOMEM, and requests are served again after a
// free.
// env: MEMOMAN_RESERVE=32M
// env: MEMOMAN_GROW=0
// env: MEMOMAN_LOCK=1
// Not under the debug shim: it has one lock for all (the harness leaves it out).
#include "check.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { BLOCKS = 16, HANDED = 8, MOST = 20000 };

static int turns_done, turns_begun, others_done;
static void *handed[2][HANDED];

static void not_allowed(int number, siginfo_t *information, void *context) {
    (void)number, (void)context;
    char line[64];
    int bytes =
        snprintf(line, sizeof line, "FAIL H realtime system call %d\n", information->si_syscall);
    if (write(1, line, (size_t)bytes) != bytes) _exit(3);
    _exit(2);
}

/* The system calls permitted in the next part, besides writing, reading its counters and ending the
 * process. */
enum { NOTHING, WAITING_FOR_THE_LOCK, LOOKING_THROUGH_ALL_HEAPS };

/* Permits this thread only these system calls from here on, within earlier permissions. Before a
 * request is refused, all heaps are searched: all threads pass a memory barrier, and the search
 * waits for threads that are in their heaps. */
static void allow_only(int more) {
#define ALLOW(call)                                                                                \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define BEGINNING BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), \
        ALLOW(write), ALLOW(getrusage), ALLOW(exit_group), ALLOW(prctl)
#define END BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
    struct sock_filter nothing[] = {BEGINNING, END}, lock[] = {BEGINNING, ALLOW(futex), END},
                       heaps[] = {BEGINNING,          ALLOW(futex),           ALLOW(membarrier),
                                  ALLOW(sched_yield), ALLOW(clock_nanosleep), END};
    struct sock_fprog programs[] = {{sizeof nothing / sizeof *nothing, nothing},
                                    {sizeof lock / sizeof *lock, lock},
                                    {sizeof heaps / sizeof *heaps, heaps}};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &programs[more]) == 0);
}

static long faults(void) {
    struct rusage usage;
    CHECK(getrusage(RUSAGE_THREAD, &usage) == 0);
    return usage.ru_minflt + usage.ru_majflt;
}

/* Small blocks of both threads, by every function. */
static void small_turn(int which, uint64_t *state, void **blocks) {
    for (int step = 0; step < 64; step++) {
        void **place = &blocks[random_next(state) % BLOCKS];
        size_t bytes = 1 + random_next(state) % 200;
        switch (random_next(state) % 6) {
        case 0: free(*place), *place = calloc(1, bytes); break;
        case 1: *place = realloc(*place, bytes); break;
        case 2: free(*place), *place = memalign(64, bytes); break;
        case 3:
            free(__atomic_exchange_n(&handed[1 - which][random_next(state) % HANDED], *place,
                                     __ATOMIC_ACQ_REL));
            *place = malloc(bytes);
            break;
        default: free(*place), *place = malloc(bytes);
        }
        CHECK(*place != NULL && malloc_usable_size(*place) >= bytes);
        memset(*place, 1, bytes);
        free(__atomic_exchange_n(&handed[which][random_next(state) % HANDED], NULL,
                                 __ATOMIC_ACQ_REL));
    }
}

static void *second(void *unused) {
    uint64_t state = 77;
    static void *blocks[BLOCKS];
    /* The start. */
    for (int turn = 0; turn < 300; turn++) small_turn(1, &state, blocks);
    allow_only(WAITING_FOR_THE_LOCK);
    long before = faults();
    __atomic_add_fetch(&turns_begun, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&turns_begun, __ATOMIC_ACQUIRE) < 3) {}
    for (int turn = 0; turn < 20000; turn++) small_turn(1, &state, blocks);
    long met = faults() - before;
    if (met != 0) printf("%ld page faults in the second thread\n", met);
    CHECK(met == 0);
    __atomic_add_fetch(&turns_done, 1, __ATOMIC_ACQ_REL);
    for (;;) {}
    return unused;
}

/* Large blocks, a twentieth of the reserve at most: from the shared instance, by this thread
 * alone. */
static void large_turn(uint64_t *state, void **blocks) {
    for (int step = 0; step < 16; step++) {
        void **place = &blocks[random_next(state) % 6];
        size_t bytes = (48 << 10) + random_next(state) % (200 << 10);
        free(*place);
        *place = random_next(state) % 4 ? malloc(bytes) : memalign(4096, bytes);
        CHECK(*place != NULL);
        memset(*place, 2, bytes);
        if (random_next(state) % 2 == 0) {
            *place = realloc(*place, bytes / 2 + (24 << 10));
            CHECK(*place != NULL);
        }
    }
}

/* Allocates until nothing is left, frees one, allocates again, frees all. The first round takes
 * every path once; the later ones must have no page fault. */
static void *third(void *unused) {
    static void *blocks[MOST];
    free(malloc(1));
    allow_only(LOOKING_THROUGH_ALL_HEAPS);
    __atomic_add_fetch(&turns_begun, 1, __ATOMIC_ACQ_REL);
    while (!__atomic_load_n(&others_done, __ATOMIC_ACQUIRE)) {}
    for (int round = 0; round < 3; round++) {
        long before = faults();
        int count = 0;
        errno = 0;
        while (count < MOST && (blocks[count] = malloc(2000)) != NULL)
            memset(blocks[count++], 3, 2000);
        CHECK(errno == ENOMEM && count > 12000 && count < MOST);
        free(blocks[--count]);
        blocks[count] = malloc(2000);
        CHECK(blocks[count] != NULL);
        while (count >= 0) free(blocks[count--]);
        CHECK(round == 0 || faults() == before);
    }
    __atomic_store_n(&others_done, 2, __ATOMIC_RELEASE);
    for (;;) {}
    return unused;
}

int main(void) {
    alarm(120);
    static char buffer[4096];
    static void *blocks[BLOCKS], *large[6];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    struct sigaction action = {.sa_sigaction = not_allowed, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
    uint64_t state = chosen_seed();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, second, NULL) == 0 &&
          pthread_create(&thread, NULL, third, NULL) == 0);
    for (int turn = 0; turn < 300; turn++) small_turn(0, &state, blocks), large_turn(&state, large);
    while (__atomic_load_n(&turns_begun, __ATOMIC_ACQUIRE) < 2) {}

    allow_only(WAITING_FOR_THE_LOCK);
    long before = faults();
    __atomic_add_fetch(&turns_begun, 1, __ATOMIC_ACQ_REL);
    for (int turn = 0; turn < 20000; turn++) {
        small_turn(0, &state, blocks);
        if (turn % 4 == 0) large_turn(&state, large);
    }
    while (__atomic_load_n(&turns_done, __ATOMIC_ACQUIRE) < 1) {}
    /* The other thread makes no more calls. */
    allow_only(NOTHING);
    for (int turn = 0; turn < 20000; turn++) {
        small_turn(0, &state, blocks);
        if (turn % 4 == 0) large_turn(&state, large);
    }
    long met = faults() - before;
    if (met != 0) printf("%ld page faults in the first thread\n", met);
    CHECK(met == 0);
    passed("two_threads_ask_for_nothing_but_the_lock");
    passed("one_thread_asks_for_nothing_after_the_start");
    passed("no_page_is_missing_after_the_start");
    for (int i = 0; i < 6; i++) free(large[i]);
    __atomic_store_n(&others_done, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&others_done, __ATOMIC_ACQUIRE) != 2) {}
    passed("enomem_and_service_again");
    _exit(0);
}
