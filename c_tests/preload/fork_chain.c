// Each child starts threads that allocate, frees their blocks and forks again. A fork waits for
// threads that leave their heaps soon. So the last child holds what any one child does, and not
// besides what each fork has left behind.
// Not under the debug shim: its threads have one heap.
#include "check.h"
#include <sys/wait.h>

enum { FORKS = 24, THREADS = 6, BLOCKS = 1024 };

static const size_t most = 64 << 20;
static int stop;
static void *blocks[BLOCKS];

static void *work(void *seed) {
    uint64_t state = (uint64_t)(uintptr_t)seed * 2 + 1;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        size_t bytes = 8 + random_next(&state) % 3000;
        char *block = malloc(bytes);
        CHECK(block != NULL);
        memset(block, 1, bytes);
        free(__atomic_exchange_n(&blocks[random_next(&state) % BLOCKS], block, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

int main(void) {
    for (int i = 0; i < FORKS; i++) {
        pthread_t threads[THREADS];
        stop = 0;
        for (uintptr_t at = 0; at < THREADS; at++)
            CHECK(pthread_create(&threads[at], NULL, work, (void *)at) == 0);
        usleep(3000);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child > 0) {
            __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
            for (int at = 0; at < THREADS; at++) CHECK(pthread_join(threads[at], NULL) == 0);
            int status;
            CHECK(waitpid(child, &status, 0) == child);
            return status != 0;
        }
        alarm(100);
        for (int at = 0; at < BLOCKS; at++) {
            free(blocks[at]);
            blocks[at] = NULL;
        }
    }
    if (resident() > most) printf("%zu KiB resident\n", resident() >> 10);
    CHECK(resident() <= most);
    passed("a_chain_of_children_holds_what_one_of_them_does");
    return 0;
}
