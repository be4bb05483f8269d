// vfork and posix_spawn while four threads allocate: the child, which shares the parent's memory,
// leaves the parent's heap unchanged. (The child of vfork may only execute another program: POSIX
// permits no malloc there.)
#include "check.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

enum { THREADS = 4, ROUNDS = 100, BLOCKS = 48 };

extern char **environ;
static int stop;

static void *churn(void *number) {
    uint64_t state = (uintptr_t)number + 5;
    unsigned char *blocks[BLOCKS] = {0};
    size_t bytes[BLOCKS] = {0};
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        size_t i = random_next(&state) % BLOCKS;
        if (blocks[i])
            CHECK(blocks[i][0] == (unsigned char)i && blocks[i][bytes[i] - 1] == (unsigned char)i);
        free(blocks[i]);
        bytes[i] = 1 + random_next(&state) % (random_next(&state) % 50 ? 3000 : 200000);
        blocks[i] = malloc(bytes[i]);
        CHECK(blocks[i]);
        memset(blocks[i], (int)i, bytes[i]);
    }
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    return NULL;
}

int main(void) {
    alarm(120);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        static char *arguments[] = {"true", NULL};
        int status = -1;
        char *block = malloc(2000);
        memset(block, 7, 2000);
        pid_t child = vfork();
        if (child == 0) {
            execvp("true", arguments);
            _exit(1);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
        CHECK(block[0] == 7 && block[1999] == 7);
        free(block);
        CHECK(posix_spawnp(&child, "true", NULL, NULL, arguments, environ) == 0);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    passed("vfork_and_posix_spawn_while_4_threads_allocate");
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    passed("heaps_are_sound_after_vfork_and_posix_spawn");
    return 0;
}
