// A child that forks again: the heap of a thread that the first fork has found in the middle of a
// call stays as it is in parent and child of the second one.
#include "check.h"
#include <signal.h>
#include <sys/wait.h>

enum { BLOCKS = 64, ROUNDS = 60 };

static void *volatile blocks[BLOCKS];
/* Rounds in which the worker has been held, and in which it goes on. */
static volatile int held, gone_on, stop;

/* Stops the worker where it is, in most rounds inside malloc or free: until the first fork is over,
 * or for a while, since that may wait for a section of the worker's. */
static void hold(int signal) {
    (void)signal;
    int round = ++held;
    for (int i = 0; i < 200 && gone_on < round; i++) usleep(100);
}

static void *work(void *argument) {
    uint64_t state = 1;
    while (!stop) {
        size_t index = random_next(&state) % BLOCKS;
        void *block = blocks[index];
        blocks[index] = NULL;
        free(block);
        blocks[index] = malloc(1000 + random_next(&state) % 30000);
    }
    return argument;
}

static int ended_well(pid_t child) {
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void free_all(void) {
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
}

int main(void) {
    struct sigaction action = {.sa_handler = hold};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pthread_t worker;
    CHECK(pthread_create(&worker, NULL, work, NULL) == 0);
    usleep(10000);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_kill(worker, SIGUSR1) == 0);
        while (held <= i) usleep(100);
        pid_t child = fork();
        if (child == 0) {
            pid_t inner = fork();
            if (inner == 0) {
                free_all();
                _exit(0);
            }
            if (!ended_well(inner)) _exit(1);
            free_all();
            _exit(0);
        }
        gone_on++;
        CHECK(ended_well(child));
        usleep((useconds_t)i * 10);
    }
    stop = 1;
    CHECK(pthread_join(worker, NULL) == 0);
    passed("a_child_that_forks_keeps_a_heap_left_behind");
    return 0;
}
