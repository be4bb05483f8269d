// Fork while 8 threads allocate: 1,000 children allocate, free and exit.
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>

static volatile int stop;

static void *churn(void *unused) {
    (void)unused;
    void *blocks[64] = {0};
    for (unsigned i = 1; !stop; i = i * 1103515245u + 12345u) {
        unsigned at = (i >> 8) % 64;
        free(blocks[at]);
        blocks[at] = malloc(1 + (i >> 16) % 3000);
    }
    for (int i = 0; i < 64; i++) free(blocks[i]);
    return NULL;
}

static void hook(void) { free(malloc(100)); }

int main(void) {
    alarm(200);
    pthread_t threads[8];
    CHECK(pthread_atfork(hook, hook, hook) == 0);
    for (int i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
    for (int round = 0; round < 1000; round++) {
        char *inherited = malloc(5000);
        memset(inherited, round & 0x7F, 5000);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(20);
            if (inherited[4999] != (round & 0x7F)) _exit(2);
            free(inherited);
            for (size_t i = 1; i < 200; i++) {
                char *p = malloc(i * 37);
                if (p == NULL) _exit(3);
                p[0] = 1;
                p = realloc(p, i * 53);
                free(p);
            }
            /* Some children fork once more. */
            if (round % 50 == 0) {
                pid_t grandchild = fork();
                if (grandchild == 0) {
                    free(malloc(1 << 20));
                    _exit(0);
                }
                int status;
                waitpid(grandchild, &status, 0);
                if (status != 0) _exit(4);
            }
            _exit(0);
        }
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        free(inherited);
    }
    stop = 1;
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    passed("1000_forks_while_8_threads_allocate");
    passed("other_fork_handlers_allocate");
    return 0;
}
