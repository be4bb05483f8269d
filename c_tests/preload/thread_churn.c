// Short-lived threads leave memory flat: each gets the heap of a thread before it. Argument: their
// number, more than 1,000.
// args: 100000
// link: -lpthread
#include "check.h"
#include <malloc.h>
#include <pthread.h>

static void *left;

static void *lives(void *unused) {
    (void)unused;
    void *blocks[40];
    for (size_t i = 0; i < 40; i++) {
        blocks[i] = malloc(i * i * 4 + 1);
        CHECK(blocks[i]);
        memset(blocks[i], 1, i * i * 4 + 1);
    }
    for (int i = 0; i < 40; i++) free(blocks[i]);
    /* A block that the next thread frees. */
    free(left);
    left = malloc(3000);
    memset(left, 2, 3000);
    return NULL;
}

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 0;
    CHECK(count > 1000);
    size_t before = 0, arena = 0;
    for (long i = 0; i < count; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, lives, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        if (i == 1000) before = resident(), arena = mallinfo2().arena;
    }
    CHECK(mallinfo2().arena == arena);
    passed("short_lived_threads_take_over_heaps");
    CHECK(resident() < before + (256 << 10));
    passed("short_lived_threads_leave_memory_flat");
    return 0;
}
