// Children that no fork handler has prepared: of the system calls fork and clone, and of _Fork. The
// other threads are in the middle of calls: sections of the lock, guests and visitors of other
// heaps, a fork. Each child allocates and frees more than its heap holds, reads figures, forks.
#include "check.h"
#include <dlfcn.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { BUSY = 4, CHILDREN = 24, BLOCKS = 600 };

static int stop, ready;
/* No other thread forks: the C library's own locks of a fork are free in the children. */
static int may_fork;
static void *handed[BUSY][64];

/* Segments come and go, and blocks change threads. */
static void *churn(void *argument) {
    unsigned me = (unsigned)(uintptr_t)argument;
    uint64_t state = me + 1;
    void *blocks[64] = {0};
    __atomic_add_fetch(&ready, 1, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        unsigned at = random_next(&state) % 64;
        size_t bytes = 1 + random_next(&state) % (at < 8 ? 250000 : 3000);
        free(blocks[at]);
        blocks[at] = malloc(bytes);
        void **to = &handed[random_next(&state) % BUSY][at];
        blocks[at] = __atomic_exchange_n(to, blocks[at], __ATOMIC_ACQ_REL);
    }
    return NULL;
}

/* Sections of the lock, and every heap a guest's. */
static void *figures(void *unused) {
    __atomic_add_fetch(&ready, 1, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        malloc_trim(0);
        mallinfo2();
    }
    return unused;
}

static void child(int number, void *inherited) {
    alarm(20);
    free(inherited);
    void *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        size_t bytes = (size_t)(i % 40 == 0 ? 300000 : 1 + i * 37 % 20000);
        blocks[i] = malloc(bytes);
        if (blocks[i] == NULL) _exit(3);
        memset(blocks[i], i, bytes);
    }
    blocks[0] = realloc(blocks[0], 1000000);
    if (blocks[0] == NULL) _exit(4);
    for (int i = 0; i < BLOCKS; i++) {
        if (*(char *)blocks[i] != (char)i) _exit(5);
        free(blocks[i]);
    }
    if (number % 4 == 0) mallinfo2();
    if (number % 4 == 1) malloc_trim(0);
    if (may_fork && number % 8 == 2) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            free(malloc(100000));
            _exit(0);
        }
        int status = -1;
        if (waitpid(grandchild, &status, 0) != grandchild || status != 0) _exit(6);
    }
    _exit(0);
}

static pid_t by_fork_call(void) { return (pid_t)syscall(SYS_fork); }
static pid_t by_clone_call(void) { return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }
static pid_t (*underscore_fork)(void);
static pid_t by_underscore_fork(void) { return underscore_fork(); }

static void *forking(void *unused) {
    __atomic_add_fetch(&ready, 1, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pid_t process = fork();
        if (process == 0) _exit(0);
        CHECK(waitpid(process, NULL, 0) == process);
    }
    return unused;
}

static void run(const char *name, pid_t (*make)(void), void *(*last)(void *)) {
    pthread_t threads[BUSY + 1];
    stop = 0, ready = 0, may_fork = last != forking;
    for (uintptr_t i = 0; i < BUSY; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0);
    CHECK(pthread_create(&threads[BUSY], NULL, last, NULL) == 0);
    while (__atomic_load_n(&ready, __ATOMIC_RELAXED) <= BUSY) sched_yield();
    for (int number = 0; number < CHILDREN; number++) {
        void *inherited = __atomic_exchange_n(&handed[number % BUSY][number % 64], NULL,
                                              __ATOMIC_ACQ_REL);
        pid_t process = make();
        CHECK(process >= 0);
        if (process == 0) child(number, inherited);
        free(inherited);
        int status = -1;
        CHECK(waitpid(process, &status, 0) == process);
        if (status != 0) printf("%s, child %d: status %#x\n", name, number, status);
        CHECK(status == 0);
    }
    stop = 1;
    for (int i = 0; i <= BUSY; i++) pthread_join(threads[i], NULL);
    passed(name);
}

int main(void) {
    alarm(200);
    *(void **)&underscore_fork = dlsym(RTLD_DEFAULT, "_Fork");
    run("children_of_the_call_fork", by_fork_call, figures);
    run("children_of_the_call_clone", by_clone_call, figures);
    run("children_made_while_another_thread_forks", by_clone_call, forking);
    if (underscore_fork != NULL) run("children_of__Fork", by_underscore_fork, figures);
    else skipped("children_of__Fork", "no _Fork in this C library");
    return 0;
}
