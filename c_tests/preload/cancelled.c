// Threads are cancelled during allocations, mallinfo2 and malloc_trim, while others allocate. No
// call is a cancellation point: a cancelled thread completes its work up to its own
// pthread_testcancel, and no lock stays taken.
// args: 40
// also-linked: asan tsan
// args-asan: 20
// args-tsan: 10
// args-preload-debug: 20
#include "check.h"
#include <malloc.h>
#include <pthread.h>

enum { BUSY = 4, BLOCKS = 24 };

static int stop;
static unsigned begun, ended;

static void *busy(void *number) {
    uint64_t state = (uintptr_t)number * 7919 + 1;
    void *blocks[64] = {0};
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        void **place = &blocks[random_next(&state) % 64];
        free(*place);
        *place = malloc(1 + random_next(&state) % 4000);
        CHECK(*place != NULL);
    }
    for (int i = 0; i < 64; i++) free(blocks[i]);
    return NULL;
}

typedef struct work {
    void *blocks[BLOCKS];
    uint64_t state;
} work;

/* Runs when the thread is cancelled, with its table as at pthread_testcancel. */
static void cleans_up(void *argument) {
    work *mine = argument;
    for (int i = 0; i < BLOCKS; i++) free(mine->blocks[i]);
    __atomic_add_fetch(&ended, 1, __ATOMIC_RELAXED);
}

static void *works(void *number) {
    work mine = {.state = (uintptr_t)number * 104729 + 3};
    pthread_cleanup_push(cleans_up, &mine);
    for (unsigned turn = 0;; turn++) {
        __atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED);
        void **place = &mine.blocks[random_next(&mine.state) % BLOCKS];
        size_t bytes = 1 + random_next(&mine.state) % (turn % 8 ? 3000 : 300000);
        void *moved = turn % 3 ? realloc(*place, bytes) : NULL;
        if (turn % 3) {
            CHECK(moved != NULL);
            *place = moved;
        } else {
            free(*place);
            *place = calloc(1, bytes);
            CHECK(*place != NULL);
        }
        struct mallinfo2 info = mallinfo2();
        CHECK(info.uordblks + info.fordblks <= info.arena);
        if (turn % 16 == 0) malloc_trim(0);
        __atomic_sub_fetch(&begun, 1, __ATOMIC_RELAXED);
        pthread_testcancel();
    }
    pthread_cleanup_pop(1);
    return NULL;
}

int main(int count, char **arguments) {
    alarm(200);
    unsigned rounds = count > 1 ? (unsigned)atoi(arguments[1]) : 40;
    uint64_t state = chosen_seed();
    pthread_t others[BUSY];
    size_t live = IN_USE();
    for (uintptr_t i = 0; i < BUSY; i++)
        CHECK(pthread_create(&others[i], NULL, busy, (void *)i) == 0);
    for (uintptr_t round = 0; round < rounds; round++) {
        pthread_t thread;
        void *result;
        CHECK(pthread_create(&thread, NULL, works, (void *)(round + state)) == 0);
        usleep((useconds_t)(random_next(&state) % 1500));
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    }
    CHECK(ended == rounds && begun == 0);
    passed("threads_are_cancelled_between_calls_only");
    /* No lock is held: large blocks and a walk over every heap work, and the other threads go
     * on. */
    for (int i = 0; i < 100; i++) free(malloc((size_t)1 << 20));
    CHECK(mallinfo2().arena > 0);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < BUSY; i++) CHECK(pthread_join(others[i], NULL) == 0);
    CHECK(HEAPS_ARE_SOUND());
    CHECK(IN_USE() < live + (64 << 10));
    passed("cancelled_threads_leave_no_lock_and_no_block");
    return 0;
}
