/* Two and more independent allocators over different pools in one process, each on a thread of its
 * own, run the stress test at the same time. They share nothing and take no lock; ThreadSanitizer
 * would report a race. */
#include "support/engine.h"

#define OPERATIONS 100000
#define THREADS_MAX 8

static void run(void *argument) {
    engine_run(argument);
}

static void at_the_same_time(size_t count, engine_mix first_mix) {
    static const char *const names[THREADS_MAX] = {"thread-0", "thread-1", "thread-2", "thread-3",
                                                   "thread-4", "thread-5", "thread-6", "thread-7"};
    suite_thread threads[THREADS_MAX];
    engine *engines[THREADS_MAX];
    for (size_t i = 0; i < count; i++)
        engines[i] = engine_new(names[i], heap_bare(), engine_seed(40) + i,
                                engine_operations(OPERATIONS) / count * 2,
                                (engine_mix)((first_mix + i) % 5));
    for (size_t i = 0; i < count; i++) suite_start(&threads[i], run, engines[i]);
    for (size_t i = 0; i < count; i++) suite_join(&threads[i]);
    for (size_t i = 0; i < count; i++) engine_free(engines[i]);
}

TEST(two, allocators_on_two_threads) {
    at_the_same_time(2, MIX_UNIFORM);
}
TEST(two, allocators_on_two_threads_with_small_blocks) {
    at_the_same_time(2, MIX_SMALL);
}
TEST(two, eight_allocators_on_eight_threads) {
    at_the_same_time(8, MIX_UNIFORM);
}

/* The same calls give the same offsets in both: an allocator has no state outside its own
 * memory. */
TEST(two, allocators_behave_the_same_whatever_the_other_does) {
    unsigned char *memory = suite_memory(4096, 2 * 65536);
    mm_allocator_t *heaps[2] = {heap_over(memory, 65536), heap_over(memory + 65536, 65536)};
    suite_random randoms[2] = {suite_seeded(7), suite_seeded(7)}, order = suite_seeded(8);
    enum { BLOCKS = 60, TURNS = 4000 };
    static ptrdiff_t places[2][TURNS];
    void *blocks[2][BLOCKS] = {{0}};
    size_t turns[2] = {0, 0};
    while (turns[0] < TURNS || turns[1] < TURNS) {
        size_t h = turns[0] == TURNS ? 1 : turns[1] == TURNS ? 0 : suite_below(&order, 2);
        size_t i = suite_below(&randoms[h], BLOCKS), n = suite_below(&randoms[h], 3000) + 1;
        if (blocks[h][i]) {
            mm_free(heaps[h], blocks[h][i]);
            blocks[h][i] = NULL;
            places[h][turns[h]] = -2;
        } else {
            blocks[h][i] = mm_malloc(heaps[h], n);
            places[h][turns[h]] =
                blocks[h][i] ? (unsigned char *)blocks[h][i] - memory - (ptrdiff_t)(h * 65536) : -1;
        }
        turns[h]++;
    }
    for (size_t turn = 0; turn < TURNS; turn++) {
        suite_context("turn %zu", turn);
        CHECK(places[0][turn] == places[1][turn]);
    }
    HEAP_SOUND(heaps[0]);
    HEAP_SOUND(heaps[1]);
}
