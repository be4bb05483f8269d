/* fork while eight threads allocate: the child's heap works, whichever call the other threads were
 * in. */
#include "support/heap.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8

static int stop;

static void churn(void *argument) {
    suite_random random = suite_seeded((uintptr_t)argument + 70);
    void *blocks[64] = {0};
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        size_t i = suite_below(&random, 64),
               n = suite_below(&random, suite_below(&random, 200) ? 2000 : (size_t)1 << 22);
        if (blocks[i] && suite_below(&random, 2)) {
            mm_free_global(blocks[i]);
            blocks[i] = NULL;
        } else {
            void *p = mm_realloc_global(blocks[i], n + 1);
            if (p) blocks[i] = p;
        }
    }
    for (size_t i = 0; i < 64; i++) mm_free_global(blocks[i]);
}

/* The child's work: allocates, resizes, frees, validates. Gives its exit status. */
static int child_works(void) {
    void *blocks[32];
    for (size_t i = 0; i < 32; i++) {
        blocks[i] = mm_malloc_global(i * 100 + 1);
        if (!blocks[i]) return 2;
        memset(blocks[i], (int)i, i * 100 + 1);
    }
    for (size_t i = 0; i < 32; i++) {
        blocks[i] = mm_realloc_global(blocks[i], i * 150 + 20);
        if (!blocks[i] || *(unsigned char *)blocks[i] != i) return 3;
    }
    for (size_t i = 0; i < 32; i++) mm_free_global(blocks[i]);
    return mm_validate_global() ? 0 : 4;
}

static void rounds(size_t count, int nested) {
    suite_thread threads[THREADS];
    /* A deadlock in the parent ends the program instead of hanging it. */
    alarm(240);
    __atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
    for (uintptr_t i = 0; i < THREADS; i++) suite_start(&threads[i], churn, (void *)i);
    size_t bad = 0, at = 0;
    int what = 0;
    for (size_t round = 0; round < count && !bad; round++) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGALRM, SIG_DFL);
            alarm(20);
            int result = child_works();
            if (!result && nested) {
                pid_t grandchild = fork();
                if (grandchild == 0) _exit(child_works());
                int status = -1;
                waitpid(grandchild, &status, 0);
                if (status != 0) result = 5;
            }
            _exit(result);
        }
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            bad++;
            at = round;
            what = status;
        }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < THREADS; i++) suite_join(&threads[i]);
    alarm(0);
    suite_context("round %zu, wait status 0x%x", at, (unsigned)what);
    CHECK_EQ(bad, 0);
    CHECK(mm_validate_global());
}

TEST(fork, under_load_1000_rounds) {
    rounds((size_t)suite_env("MM_FORKS", 1000), 0);
}

TEST(fork, in_the_child_of_a_fork) {
    rounds((size_t)suite_env("MM_FORKS", 1000) / 10, 1);
}

TEST(fork, child_inherits_blocks_and_parent_keeps_them) {
    unsigned char *block = mm_malloc_global(1000);
    fill(block, 1000, 8);
    pid_t child = fork();
    if (child == 0) {
        if (filled(block, 1000, 8) != 1000) _exit(1);
        memset(block, 0, 1000);
        mm_free_global(block);
        _exit(child_works());
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_FILLED(block, 1000, 8);
    mm_free_global(block);
    CHECK(mm_validate_global());
}

TEST(fork, before_the_first_use) {
    pid_t child = fork();
    if (child == 0) _exit(child_works());
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(child_works(), 0);
}
