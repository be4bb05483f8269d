// A signal handler that has interrupted malloc, free or fork forks, in a program with one thread
// and beside a thread that allocates. The child ends at once, or returns from the handler, so that
// the interrupted call ends in it, too, and allocates. Not under the debug shim: its calls are
// longer, and its threads wait for a fork (the harness leaves it out).
#include "check.h"
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile sig_atomic_t forks, is_child;
static int stop;

static void fork_here(int signal) {
    (void)signal;
    int saved = errno;
    if (is_child) return;
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        if (forks % 3 != 0) _exit(0);
        is_child = 1;
    } else {
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) _exit(4);
        forks++;
    }
    errno = saved;
}

/* The end of a child that returned from the handler, outside every call. */
static void end_of_child(void) {
    if (!is_child) return;
    void *blocks[40];
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = malloc(i * i * 100 + 1);
        if (blocks[i] == NULL) _exit(5);
        memset(blocks[i], 1, i * i * 100 + 1);
    }
    for (int i = 0; i < 40; i++) free(blocks[i]);
    _exit(0);
}

static void arm(int microseconds) {
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void until(int more, size_t bytes) {
    int end = forks + more;
    arm(700);
    while (forks < end) {
        if (bytes == 0) {
            pid_t child = fork();
            if (child == 0) _exit(0);
            CHECK(waitpid(child, NULL, 0) == child || is_child);
        } else {
            void *blocks[4];
            for (int i = 0; i < 4; i++) blocks[i] = opaque(malloc(bytes));
            for (int i = 0; i < 4; i++) free(blocks[i]);
        }
        end_of_child();
    }
    arm(0);
    end_of_child();
}

static void *allocate(void *unused) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        free(malloc(100));
        free(malloc(100000));
    }
    return unused;
}

int main(void) {
    struct sigaction action = {.sa_handler = fork_here, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    static const size_t sizes[] = {64, 3000, 70000, 3 << 20, 0};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) until(100, sizes[i]);
    passed("one_thread_forks_in_a_signal_handler");
    /* The signals go to the thread that has not blocked them. */
    pthread_t thread;
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    CHECK(pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, allocate, NULL) == 0);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &blocked, NULL) == 0);
    /* (Not fork: there the C library waits for a lock of its own, which the fork holds.) */
    for (int i = 0; sizes[i] != 0; i++) until(60, sizes[i]);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    CHECK(pthread_join(thread, NULL) == 0);
    passed("a_thread_beside_others_forks_in_a_signal_handler");
    return 0;
}
