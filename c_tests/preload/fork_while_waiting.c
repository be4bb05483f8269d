// One thread forks, slowly; another one, which waits for that fork, forks in a signal handler.
#include "check.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { FORKS = 20, BYTES = 100 << 20 };

static int stop, handled, in_handler;

static void fork_once(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child);
}

static void fork_in_handler(int number) {
    __atomic_store_n(&in_handler, 1, __ATOMIC_RELAXED);
    fork_once();
    handled += number == SIGUSR1;
    __atomic_store_n(&in_handler, 0, __ATOMIC_RELAXED);
}

static void *allocate(void *unused) {
    void *blocks[64];
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (int i = 0; i < 64; i++) {
            blocks[i] = malloc(100 + 8 * (size_t)i);
            CHECK(blocks[i] != NULL);
        }
        for (int i = 0; i < 64; i++) {
            free(blocks[i]);
        }
    }
    return unused;
}

/* It forks only while the handler does not. */
static void *fork_often(void *unused) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        if (!__atomic_load_n(&in_handler, __ATOMIC_RELAXED)) {
            fork_once();
        }
        usleep(500);
    }
    return unused;
}

int main(void) {
    alarm(60);
    char *pages = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    madvise(pages, BYTES, MADV_NOHUGEPAGE);
    memset(pages, 1, BYTES);
    struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pthread_t allocating, forking;
    CHECK(pthread_create(&allocating, NULL, allocate, NULL) == 0);
    CHECK(pthread_create(&forking, NULL, fork_often, NULL) == 0);
    while (__atomic_load_n(&handled, __ATOMIC_RELAXED) < FORKS) {
        usleep(1500);
        if (!__atomic_load_n(&in_handler, __ATOMIC_RELAXED)) {
            CHECK(pthread_kill(allocating, SIGUSR1) == 0);
        }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    CHECK(pthread_join(allocating, NULL) == 0 && pthread_join(forking, NULL) == 0);
    passed("fork_while_waiting");
    return 0;
}
