/* The global wrapper under eight threads that exchange blocks: a block is checked, resized or freed
 * by another thread than the one that allocated it. */
#include "support/heap.h"

#include <unistd.h>

#define THREADS 8
#define MAILBOXES 512

typedef struct letter {
    size_t size; /* bytes of the block, this struct included */
    unsigned seed;
} letter;

static letter *mailboxes[MAILBOXES];

static size_t turns(void) {
    return (size_t)suite_env("MM_OPS", 200000) / THREADS;
}

static letter *written(suite_random *random) {
    size_t size = sizeof(letter) + suite_below(random, suite_below(random, 100) ? 600 : 60000);
    letter *made;
    switch (suite_below(random, 4)) {
    case 0: made = mm_calloc_global(1, size); break;
    case 1: made = mm_memalign_global((size_t)16 << suite_below(random, 9), size); break;
    case 2: made = mm_realloc_global(NULL, size); break;
    default: made = mm_malloc_global(size); break;
    }
    CHECK(made != NULL);
    made->size = size;
    made->seed = (unsigned)suite_next(random);
    fill(made + 1, size - sizeof(letter), made->seed);
    return made;
}

static void read_through(const letter *got) {
    CHECK_FILLED(got + 1, got->size - sizeof(letter), got->seed);
}

static void correspond(void *argument) {
    suite_random random = suite_seeded(suite_env("MM_SEED", 60) + (uintptr_t)argument);
    for (size_t turn = 0, count = turns(); turn < count; turn++) {
        suite_context("thread %zu, turn %zu", (size_t)(uintptr_t)argument, turn);
        letter *sent = suite_below(&random, 5) ? written(&random) : NULL;
        letter *got = __atomic_exchange_n(&mailboxes[suite_below(&random, MAILBOXES)], sent,
                                          __ATOMIC_ACQ_REL);
        if (!got) continue;
        read_through(got);
        if (suite_below(&random, 3) == 0) {
            size_t size = sizeof(letter) + suite_below(&random, 2000),
                   kept = size < got->size ? size : got->size;
            got = mm_realloc_global(got, size);
            CHECK(got != NULL);
            CHECK_FILLED(got + 1, kept - sizeof(letter), got->seed);
        }
        mm_free_global(got);
        if (turn % 4096 == 0) CHECK(mm_validate_global());
    }
}

static void empty_mailboxes(void) {
    for (size_t i = 0; i < MAILBOXES; i++) {
        letter *got = __atomic_exchange_n(&mailboxes[i], NULL, __ATOMIC_ACQ_REL);
        if (!got) continue;
        read_through(got);
        mm_free_global(got);
    }
}

TEST(threads, hand_blocks_to_each_other) {
    suite_thread threads[THREADS];
    mm_stats_t before, after;
    CHECK_EQ(mm_stats_global(&before, sizeof before), 1);
    for (uintptr_t i = 0; i < THREADS; i++) suite_start(&threads[i], correspond, (void *)i);
    for (size_t i = 0; i < THREADS; i++) suite_join(&threads[i]);
    empty_mailboxes();
    CHECK_EQ(mm_stats_global(&after, sizeof after), 1);
    CHECK_EQ(after.live_blocks, before.live_blocks);
    CHECK_EQ(after.used, before.used);
    CHECK(mm_validate_global());
}

/* Short-lived threads leave live blocks behind; other threads free them. */
static void leave_blocks(void *argument) {
    letter **to = argument;
    suite_random random = suite_seeded((uintptr_t)to);
    for (int i = 0; i < 16; i++) to[i] = written(&random);
}

TEST(threads, exit_with_live_blocks_freed_elsewhere) {
    static letter *left[THREADS][16];
    mm_stats_t before, after;
    mm_stats_global(&before, sizeof before);
    for (int round = 0; round < 30; round++) {
        suite_thread threads[THREADS];
        for (int i = 0; i < THREADS; i++) suite_start(&threads[i], leave_blocks, left[i]);
        for (int i = 0; i < THREADS; i++) suite_join(&threads[i]);
        for (int i = 0; i < THREADS; i++)
            for (int k = 0; k < 16; k++) {
                read_through(left[i][k]);
                mm_free_global(left[i][k]);
            }
        CHECK(mm_validate_global());
    }
    mm_stats_global(&after, sizeof after);
    CHECK_EQ(after.live_blocks, before.live_blocks);
}

/* Large blocks come and go on all threads: pools are added and given back all the time. */
static void large_blocks(void *argument) {
    suite_random random = suite_seeded((uintptr_t)argument + 99);
    for (size_t turn = 0, count = turns() / 250 + 10; turn < count; turn++) {
        size_t size = ((size_t)1 << 20) + suite_below(&random, (size_t)16 << 20);
        unsigned char *p = mm_malloc_global(size);
        CHECK(p != NULL);
        p[0] = 1;
        p[size - 1] = 2;
        if (turn % 4 == 0) {
            p = mm_realloc_global(p, size / 2);
            CHECK(p && p[0] == 1);
        }
        mm_free_global(p);
    }
}

TEST(threads, large_blocks_come_and_go) {
    suite_thread threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) suite_start(&threads[i], large_blocks, (void *)i);
    for (size_t i = 0; i < THREADS; i++) suite_join(&threads[i]);
    CHECK(mm_validate_global());
}

/* Inspection while other threads allocate. */
static int stop;
static void churn(void *argument) {
    suite_random random = suite_seeded((uintptr_t)argument + 5);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        letter *made = written(&random);
        read_through(made);
        mm_free_global(made);
    }
}

TEST(threads, stats_and_validation_while_others_work) {
    suite_thread threads[THREADS];
    __atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
    for (uintptr_t i = 0; i < THREADS; i++) suite_start(&threads[i], churn, (void *)i);
    for (size_t i = 0, count = turns() / 50 + 20; i < count; i++) {
        mm_stats_t stats;
        mm_stats_global(&stats, sizeof stats);
        int adds_up = stats.used + stats.free + stats.overhead == stats.pool_bytes,
            valid = mm_validate_global();
        if (!adds_up || !valid) __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
        CHECK(adds_up);
        CHECK(valid);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < THREADS; i++) suite_join(&threads[i]);
}
