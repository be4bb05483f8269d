// A sandbox ends the process at one system call that the C library's malloc can do without: with
// one thread, installed before the program starts and later; with threads, later. Blocks of all
// sizes come and go, some freed by threads other than their owners, which sleep; memory is given
// back; children are forked. No thread ends, since the C library calls madvise then.
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { THREADS = 3, SMALL = 20000, HANDED = 4000 };
enum { EARLY = 1, ALONE = 2, THREADED = 4, CHILD = 8 };
enum { ALL = EARLY | ALONE | THREADED | CHILD };

static void forbid(int call) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void *handed[THREADS][HANDED];
static int ready, asleep, started;

static void load(void **blocks, unsigned seed) {
    uint64_t state = seed + 1;
    /* 10 MiB of small blocks; most of them go, so that their pages may. */
    for (int i = 0; i < SMALL; i++) {
        size_t bytes = 1 + random_next(&state) % 1000;
        blocks[i] = malloc(bytes);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], i, bytes);
    }
    for (int i = 0; i < SMALL; i++) {
        if (i % 100 == 0) continue;
        free(blocks[i]);
        blocks[i] = NULL;
    }
    /* Buffers that grow, without realloc, and large blocks of all sizes. */
    for (size_t bytes = 1000; bytes < 20000000; bytes += bytes / 2) {
        char *buffer = malloc(bytes), *zero = calloc(1, bytes / 2);
        CHECK(buffer != NULL && zero != NULL && zero[bytes / 2 - 1] == 0);
        memset(buffer, 1, bytes < 4000000 ? bytes : 4000000);
        zero[bytes / 2 - 1] = 1;
        free(buffer), free(zero);
    }
    for (int i = 0; i < 200; i++) {
        size_t bytes = 100000 + random_next(&state) % 3000000;
        int at = i % 5 * 100;
        free(blocks[at]);
        blocks[at] = malloc(bytes);
        CHECK(blocks[at] != NULL);
        memset(blocks[at], i, bytes < 300000 ? bytes : 300000);
    }
    for (int i = 0; i < SMALL; i += 100) CHECK(malloc_usable_size(blocks[i]) > 0);
    for (int i = 0; i < SMALL; i++) free(blocks[i]);
}

static void pause_until(int *word, int value) {
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < value) __asm__ volatile("");
}

/* Makes blocks for the others to free, then allocates for itself. */
__attribute__((noreturn)) static void *allocate(void *argument) {
    unsigned me = (unsigned)(uintptr_t)argument;
    static void *blocks[THREADS][SMALL];
    for (int i = 0; i < HANDED; i++) handed[me][i] = malloc(2000);
    __atomic_add_fetch(&ready, 1, __ATOMIC_ACQ_REL);
    pause_until(&started, 1);
    /* The first one's heap is idle from here on. */
    if (me > 0) load(blocks[me], me);
    __atomic_add_fetch(&asleep, 1, __ATOMIC_ACQ_REL);
    for (;;) pause();
}

static void family(int with_child) {
    if (with_child) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            for (int i = 0; i < 100; i++) free(malloc((size_t)i * 7000));
            _exit(0);
        }
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
}

/* The program inside the sandbox. */
static int inside(int call, int early, int threads, int with_child) {
    static void *blocks[SMALL];
    alarm(100);
    if (threads) {
        pthread_t thread;
        for (uintptr_t i = 0; i < THREADS; i++)
            CHECK(pthread_create(&thread, NULL, allocate, (void *)i) == 0);
        pause_until(&ready, THREADS);
    } else {
        load(blocks, 9);
    }
    if (!early) forbid(call);
    __atomic_store_n(&started, 1, __ATOMIC_RELEASE);
    if (threads) {
        for (int i = 0; i < HANDED; i++)
            for (int k = 0; k < THREADS; k++) free(handed[k][i]);
        family(with_child);
        pause_until(&asleep, THREADS);
    }
    load(blocks, 10);
    family(with_child);
    size_t before = call == SYS_openat ? 0 : resident();
    char *large = malloc(30000000);
    memset(large, 1, 30000000);
    free(large);
    malloc_trim(0);
    CHECK(call == SYS_openat || resident() < before + (8 << 20));
    (void)mallinfo2();
    _exit(0);
}

int main(int count, char **arguments) {
    if (count == 5)
        return inside(atoi(arguments[1]), atoi(arguments[2]), atoi(arguments[3]),
                      atoi(arguments[4]));
    static const struct {
        int call, when;
        const char *name;
    } cases[] = {{SYS_madvise, ALL, "madvise"},
                 {SYS_mincore, ALL, "mincore"},
                 {SYS_membarrier, ALL, "membarrier"},
                 {SYS_mremap, ALL, "mremap"},
                 {SYS_prctl, THREADED | CHILD, "prctl"},
                 {SYS_openat, THREADED | CHILD, "openat"},
                 {SYS_sched_yield, THREADED | CHILD, "sched_yield"},
                 {SYS_clock_gettime, THREADED | CHILD, "clock_gettime"},
                 {SYS_clock_nanosleep, THREADED | CHILD, "clock_nanosleep"},
                 {SYS_mlock, THREADED | CHILD, "mlock"},
                 {SYS_gettid, THREADED, "gettid"},
                 {SYS_getpid, THREADED | CHILD, "getpid"},
                 {SYS_mprotect, THREADED | CHILD, "mprotect"},
                 {SYS_getrandom, THREADED | CHILD, "getrandom"},
                 {SYS_rseq, THREADED, "rseq"},
                 {SYS_set_robust_list, THREADED, "set_robust_list"},
                 {SYS_prlimit64, THREADED | CHILD, "prlimit64"}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int when = EARLY; when < CHILD; when *= 2) {
            if ((cases[i].when & when) == 0) continue;
            pid_t child = fork();
            CHECK(child >= 0);
            if (child == 0) {
                char call[16];
                snprintf(call, sizeof call, "%d", cases[i].call);
                if (when == EARLY) forbid(cases[i].call);
                execl("/proc/self/exe", arguments[0], call, when == EARLY ? "1" : "0",
                      when == THREADED ? "1" : "0", cases[i].when & CHILD ? "1" : "0", NULL);
                _exit(9);
            }
            int status = -1;
            CHECK(waitpid(child, &status, 0) == child);
            if (status != 0)
                printf("%s, case %d: status %#x\n", cases[i].name, when, status);
            CHECK(status == 0);
        }
        char name[64];
        snprintf(name, sizeof name, "%s_is_not_called", cases[i].name);
        passed(name);
    }
    return 0;
}
