// Forks while 64 threads allocate, hand blocks to each other, start and end; fork handlers of the
// program fork and allocate; the children allocate, start threads and fork.
// args-preload-debug: 16
#include "check.h"
#include <sys/wait.h>

enum { FORKS = 24, MOST = 64, MAIL = 128 };

static int stop, in_handler;
static void *mail[MAIL];

static void *churn(void *seed) {
    uint64_t state = (uint64_t)(uintptr_t)seed * 2 + 1;
    unsigned char *blocks[32] = {0};
    size_t sizes[32];
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        unsigned at = random_next(&state) % 32;
        if (blocks[at] != NULL)
            CHECK(blocks[at][0] == at && blocks[at][sizes[at] - 1] == (unsigned char)sizes[at]);
        if (at % 2 != 0 && blocks[at] != NULL) {
            sizes[at] = 1 + random_next(&state) % 900;
            blocks[at] = realloc(blocks[at], sizes[at]);
        } else {
            free(blocks[at]);
            sizes[at] = 1 + random_next(&state) % (at == 0 ? 100000 : 2000);
            blocks[at] = at == 1 ? aligned_alloc(64, sizes[at]) : malloc(sizes[at]);
        }
        CHECK(blocks[at] != NULL);
        blocks[at][0] = (unsigned char)at;
        blocks[at][sizes[at] - 1] = (unsigned char)sizes[at];
        if (sizes[at] == 1) {
            free(blocks[at]);
            blocks[at] = NULL;
        }
        free(__atomic_exchange_n(&mail[random_next(&state) % MAIL], calloc(1, 300),
                                 __ATOMIC_ACQ_REL));
    }
    for (int i = 0; i < 32; i++) free(blocks[i]);
    return NULL;
}

static void *short_lived(void *unused) {
    for (size_t i = 0; i < 200; i++) free(malloc(i * 31));
    return unused;
}

static void *come_and_go(void *unused) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) on_other_thread(short_lived, NULL);
    return unused;
}

/* Fork handlers of the program: they allocate, and one fork in eight forks in each of them. */
static void handler(void) {
    static int calls;
    free(malloc(100));
    free(malloc(50000));
    if (in_handler || calls++ % 8 != 0) return;
    in_handler = 1;
    pid_t child = fork();
    if (child == 0) {
        free(malloc(100));
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    in_handler = 0;
}

static void be_child(int round) {
    alarm(60);
    void *blocks[50] = {0};
    uint64_t state = (uint64_t)round + 1;
    for (int i = 0; i < 1000; i++) {
        unsigned at = random_next(&state) % 50;
        free(blocks[at]);
        blocks[at] = malloc(random_next(&state) % (i % 50 != 0 ? 3000 : 100000));
        if (blocks[at] == NULL) _exit(3);
    }
    /* Blocks of threads that this process lacks. */
    for (int i = 0; i < MAIL; i++) free(mail[i]), mail[i] = NULL;
    if (round % 2 == 0) on_other_thread(short_lived, NULL);
    if (round % 10 == 0) {
        pid_t child = fork();
        if (child == 0) {
            on_other_thread(short_lived, NULL);
            _exit(0);
        }
        int status = -1;
        if (waitpid(child, &status, 0) != child || status != 0) _exit(4);
    }
    _exit(0);
}

static void run(int threads, int forks) {
    pthread_t all[MOST + 1];
    stop = 0;
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&all[i], NULL, churn, (void *)(uintptr_t)(i + 1)) == 0);
    CHECK(pthread_create(&all[threads], NULL, come_and_go, NULL) == 0);
    for (int round = 0; round < forks; round++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) be_child(round);
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child);
        if (status != 0) printf("child %d: status %#x\n", round, status);
        CHECK(status == 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i <= threads; i++) CHECK(pthread_join(all[i], NULL) == 0);
}

int main(int count, char **arguments) {
    alarm(200);
    int most = count > 1 ? atoi(arguments[1]) : MOST;
    CHECK(pthread_atfork(handler, handler, handler) == 0);
    run(8, FORKS);
    passed("forks_while_8_threads_allocate_and_handlers_fork");
    run(most, FORKS / 3);
    passed("forks_while_many_threads_allocate_and_handlers_fork");
    return 0;
}
