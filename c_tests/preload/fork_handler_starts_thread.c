// A handler of pthread_atfork that starts a thread in the child. It is registered before the first
// thread starts.
#include "check.h"
#include <sys/wait.h>

static volatile int stop, failed;

/* Other threads go on meanwhile. */
static void before(void) { usleep(5000); }

static void *allocate(void *argument) {
    for (size_t i = 0; i < 200; i++) {
        void *block = malloc(100 + i * 10);
        if (block == NULL) failed = 1;
        free(block);
    }
    return argument;
}

static void in_child(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, allocate, NULL) != 0) _exit(2);
    pthread_join(thread, NULL);
}

static void *work(void *argument) {
    uint64_t state = 1;
    while (!stop) {
        void *blocks[64];
        for (int i = 0; i < 64; i++) blocks[i] = malloc(random_next(&state) % 3000);
        for (int i = 0; i < 64; i++) free(blocks[i]);
    }
    return argument;
}

int main(void) {
    CHECK(pthread_atfork(before, NULL, in_child) == 0);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (int i = 0; i < 40; i++) {
        pid_t child = fork();
        if (child == 0) _exit(failed);
        int status;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
    stop = 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    passed("a_fork_handler_starts_a_thread_in_the_child");
    return 0;
}
