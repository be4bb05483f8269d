/* Planted: two threads count in Rust without a lock. ThreadSanitizer must report it: the Rust side
 * is instrumented. */
#include "../support/suite.h"
#include "meet.h"

void mm_planted_race(size_t *counter, size_t times);

static size_t counter;

static void count(void *unused) {
    (void)unused;
    planted_meet();
    mm_planted_race(&counter, 100);
}

TEST(planted, rust_race) {
    suite_thread threads[2];
    for (int i = 0; i < 2; i++) suite_start(&threads[i], count, NULL);
    for (int i = 0; i < 2; i++) suite_join(&threads[i]);
}
