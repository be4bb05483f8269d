// Threads: key and TLS destructors that allocate, 3,000 short threads, blocks freed elsewhere.
#include "check.h"
#include <pthread.h>

static pthread_key_t keys[40];
static int destroyed;

static void destructor(void *block) {
    char *more = malloc(300);
    memset(more, 2, 300);
    free(more);
    free(block);
    __sync_fetch_and_add(&destroyed, 1);
}

static void *with_keys(void *unused) {
    (void)unused;
    for (int i = 0; i < 40; i++) pthread_setspecific(keys[i], malloc(64 + (size_t)i));
    free(malloc(1000));
    return malloc(77);
}

#define SLOTS 4096
static void *slots[SLOTS];
static int stop;

static void *worker(void *seed) {
    unsigned state = (unsigned)(uintptr_t)seed;
    for (int i = 0; i < 100000; i++) {
        state = state * 1664525u + 1013904223u;
        size_t bytes = 16 + (state >> 8) % 2000;
        unsigned char *block = malloc(bytes);
        CHECK(block);
        memset(block, (int)(bytes & 0xFF), bytes);
        *(uint32_t *)(void *)block = (uint32_t)bytes;
        unsigned char *old = __sync_lock_test_and_set(&slots[(state >> 20) % SLOTS], block);
        if (old) {
            uint32_t had = *(uint32_t *)(void *)old;
            CHECK(had >= 16 && old[had - 1] == (had & 0xFF) && old[4] == (had & 0xFF));
            free(old);
        }
    }
    return NULL;
}

static __thread char *in_tls;
static void *short_one(void *unused) {
    (void)unused;
    in_tls = malloc(2000);
    memset(in_tls, 1, 2000);
    free(in_tls);
    return NULL;
}

int main(void) {
    (void)stop;
    for (int i = 0; i < 40; i++) CHECK(pthread_key_create(&keys[i], destructor) == 0);
    for (int round = 0; round < 50; round++) {
        pthread_t threads[8];
        for (int i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], NULL, with_keys, NULL) == 0);
        for (int i = 0; i < 8; i++) {
            void *block;
            pthread_join(threads[i], &block);
            free(block);
        }
    }
    CHECK(destroyed == 50 * 8 * 40);
    passed("key_destructors_allocate_and_free");

    pthread_t workers[8];
    for (uintptr_t i = 0; i < 8; i++)
        CHECK(pthread_create(&workers[i], NULL, worker, (void *)(i + 1)) == 0);
    for (int i = 0; i < 8; i++) pthread_join(workers[i], NULL);
    for (int i = 0; i < SLOTS; i++) free(slots[i]);
    passed("blocks_are_freed_on_other_threads");

    size_t before = 0;
    for (int i = 0; i < 3000; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, short_one, NULL) == 0);
        pthread_join(thread, NULL);
        if (i == 500) before = resident();
    }
    CHECK(resident() < before + (1 << 20));
    passed("3000_short_threads_leave_memory_as_it_was");
    return 0;
}
