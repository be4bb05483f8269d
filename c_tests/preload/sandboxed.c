// A sandbox refuses membarrier, the futexes that inherit priority, mremap or madvise with ENOSYS or
// EPERM, or ends the process when one of the first two, or the question for a sandbox, is called:
// installed before the program starts, and after its threads have. Then it may also end the process
// when a file is opened or read, and at mremap, which `malloc` has no need of.
// In every case threads allocate, each other's heaps are entered (malloc_trim, mallinfo2), and
// children of a fork are served.
#include "check.h"
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { THREADS = 4, ROUNDS = 5000 };
enum { KILL = 0 };

static int stop, ready;

/* Refuses `call` with this error, or ends the process; for futex only the operations that inherit
 * priority, for prctl only the question for a filter. */
static void forbid(int call, int error) {
    unsigned action =
        error == KILL ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | (unsigned)error;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 10),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, FUTEX_CMD_MASK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_LOCK_PI, 7, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_UNLOCK_PI, 6, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_TRYLOCK_PI, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_LOCK_PI2, 4, 3),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_GET_SECCOMP, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, action),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void *allocate(void *unused) {
    uint64_t state = 3 + (uint64_t)__atomic_add_fetch(&ready, 1, __ATOMIC_RELAXED);
    char *blocks[32] = {0};
    for (int i = 0; i < ROUNDS || !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        unsigned at = random_next(&state) % 32;
        size_t bytes = 1 + random_next(&state) % (at == 0 ? 100000 : 2000);
        if (blocks[at] != NULL) CHECK(blocks[at][0] == (char)at);
        free(blocks[at]);
        blocks[at] = malloc(bytes);
        CHECK(blocks[at] != NULL);
        memset(blocks[at], (char)at, bytes);
    }
    for (int i = 0; i < 32; i++) free(blocks[i]);
    return unused;
}

/* The program inside the sandbox: started in it, or entering it with its threads running. */
static int inside(int call, int error, int late) {
    alarm(60);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, allocate, NULL) == 0);
    while (__atomic_load_n(&ready, __ATOMIC_RELAXED) < THREADS) sched_yield();
    if (late) forbid(call, error);
    int moves = call != SYS_mremap || error != KILL;
    for (int i = 0; i < 4; i++) {
        char *large = malloc(200000);
        CHECK(large != NULL);
        memset(large, i, 200000);
        malloc_trim(0);
        struct mallinfo2 figures = mallinfo2();
        CHECK(figures.uordblks + figures.hblkhd >= 200000);
        static const size_t sizes[] = {400000, 1600000, 5000000, 700000, 1000};
        for (unsigned k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            if (moves) {
                large = realloc(large, sizes[k]);
                CHECK(large != NULL && large[999] == (char)i);
            } else {
                free(large);
                large = malloc(sizes[k]);
                CHECK(large != NULL);
            }
        }
        free(large);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(20);
            free(malloc(100000));
            free(malloc(10));
            ready = 0, stop = 1;
            on_other_thread(allocate, NULL);
            _exit(0);
        }
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}

int main(int count, char **arguments) {
    if (count == 4)
        return inside(atoi(arguments[1]), atoi(arguments[2]), atoi(arguments[3]));
    static const struct {
        int call, error;
        const char *name;
    } cases[] = {{SYS_membarrier, ENOSYS, "membarrier_is_missing"},
                 {SYS_membarrier, EPERM, "membarrier_is_forbidden"},
                 {SYS_membarrier, KILL, "membarrier_ends_the_process"},
                 {SYS_futex, ENOSYS, "inheriting_futexes_are_missing"},
                 {SYS_futex, EPERM, "inheriting_futexes_are_forbidden"},
                 {SYS_futex, KILL, "inheriting_futexes_end_the_process"},
                 {SYS_mremap, ENOSYS, "mremap_is_missing"},
                 {SYS_mremap, EPERM, "mremap_is_forbidden"},
                 {SYS_madvise, ENOSYS, "madvise_is_missing"},
                 {SYS_madvise, EPERM, "madvise_is_forbidden"},
                 {SYS_clock_nanosleep, KILL, "clock_nanosleep_ends_the_process"},
                 {SYS_prctl, EPERM, "the_question_for_a_sandbox_is_forbidden"},
                 {SYS_prctl, KILL, "the_question_for_a_sandbox_ends_the_process"},
                 {SYS_openat, KILL, "opening_a_file_ends_the_process"},
                 {SYS_read, KILL, "reading_a_file_ends_the_process"},
                 {SYS_mremap, KILL, "mremap_ends_the_process"}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* The dynamic linker opens and reads files; what comes before the program cannot know of a
         * sandbox. */
        int early = cases[i].call != SYS_openat && cases[i].call != SYS_read &&
                    (cases[i].call != SYS_mremap || cases[i].error != KILL);
        int first = !early;
        for (int late = first; late < 2; late++) {
            pid_t child = fork();
            CHECK(child >= 0);
            if (child == 0) {
                char call[16], error[16], when[16];
                snprintf(call, sizeof call, "%d", cases[i].call);
                snprintf(error, sizeof error, "%d", cases[i].error);
                snprintf(when, sizeof when, "%d", late);
                if (!late) forbid(cases[i].call, cases[i].error);
                execl("/proc/self/exe", arguments[0], call, error, when, NULL);
                _exit(9);
            }
            int status = -1;
            CHECK(waitpid(child, &status, 0) == child);
            if (status != 0) printf("%s, late %d: status %#x\n", cases[i].name, late, status);
            CHECK(status == 0);
        }
        passed(cases[i].name);
    }
    return 0;
}
