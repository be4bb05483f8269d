/* Planted: two threads count in C without a lock. ThreadSanitizer must report it. */
#include "../support/suite.h"
#include "meet.h"

static size_t counter;

__attribute__((noinline)) static void planted_in_c(void *unused) {
    (void)unused;
    planted_meet();
    for (int i = 0; i < 100; i++) (*(volatile size_t *)&counter)++;
}

TEST(planted, c_race) {
    suite_thread threads[2];
    for (int i = 0; i < 2; i++) suite_start(&threads[i], planted_in_c, NULL);
    for (int i = 0; i < 2; i++) suite_join(&threads[i]);
}
