// A process forks while its first thread starts, by pthread_create, thrd_create, or a timer of the
// C library: the child's heap works.
// args-preload-debug: 10
#include "check.h"
#include <signal.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>

static int stop, runs;

static void churn(void) {
    void *blocks[16] = {0};
    for (unsigned i = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i = i * 1103515245u + 12345u) {
        free(blocks[i / 256 % 16]);
        blocks[i / 256 % 16] = malloc(1 + (i >> 16) % 70000);
        __atomic_store_n(&runs, 1, __ATOMIC_RELAXED);
    }
}

static void *by_pthread(void *unused) {
    churn();
    return unused;
}

static int by_thread(void *unused) {
    churn();
    return unused != NULL;
}

static void by_timer(union sigval unused) {
    (void)unused;
    churn();
}

/* Starts the process's first thread, and forks at once, or, for the C library's own thread, which
 * no call announces, once it allocates. */
static int first_thread(int kind) {
    pthread_t thread;
    thrd_t other;
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = by_timer};
    struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
    if (kind == 0 && pthread_create(&thread, NULL, by_pthread, NULL) != 0) return 2;
    if (kind == 1 && thrd_create(&other, by_thread, NULL) != thrd_success) return 3;
    if (kind == 2) {
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
            timer_settime(timer, 0, &soon, NULL) != 0)
            return 4;
        while (!__atomic_load_n(&runs, __ATOMIC_RELAXED)) usleep(100);
    }
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            for (size_t bytes = 10; bytes < 300000; bytes *= 3) free(malloc(bytes));
            _exit(0);
        }
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 5;
    }
    return 0;
}

int main(int count, char **arguments) {
    alarm(200);
    int rounds = count > 1 ? atoi(arguments[1]) : 60;
    for (int round = 0; round < rounds; round++) {
        pid_t process = fork();
        CHECK(process >= 0);
        if (process == 0) _exit(first_thread(round % 3));
        int status = -1;
        CHECK(waitpid(process, &status, 0) == process);
        if (status != 0) printf("round %d: status %#x\n", round, (unsigned)status);
        CHECK(status == 0);
    }
    passed("a_fork_beside_the_first_thread");
    return 0;
}
