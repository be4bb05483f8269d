/* The global wrapper's environment. Each test runs in a forked child that sets variables before the
 * first use. */
#include "support/heap.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child a failed check ends as exit status 1: suite_fail would jump into the parent's test. */
#define SAY(condition)                                                                             \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "child: %s:%d: %s\n", __FILE__, __LINE__, #condition);                 \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static char text[8192];

static void in_child(void (*body)(void *)) {
    int status = suite_in_child(body, NULL, text, sizeof text);
    suite_context("stderr: %s", text);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

static void exhaust(void *unused) {
    (void)unused;
    setenv("MEMOMAN_RESERVE", "1M", 1);
    setenv("MEMOMAN_GROW", "0", 1);
    size_t total = 0, count = 0;
    mm_stats_t stats;
    errno = 0;
    void *p, *last = NULL;
    while ((p = mm_malloc_global(1000)) != NULL) {
        SAY(errno == 0);
        memset(p, 1, 1000);
        last = p;
        total += 1000;
        count++;
        SAY(total <= (size_t)2 << 20);
    }
    SAY(errno == ENOMEM);
    SAY(total > (size_t)900 << 10);
    SAY(mm_stats_global(&stats, sizeof stats) == 1);
    SAY(stats.pool_bytes <= (size_t)1100 << 10);
    SAY(stats.live_blocks >= count);
    SAY(mm_malloc_global((size_t)8 << 20) == NULL);
    /* Freed memory is allocated again. */
    mm_free_global(last);
    SAY(mm_malloc_global(1000) != NULL);
    SAY(mm_validate_global());
}

TEST(global, reserve_without_growth_is_a_hard_limit) {
    in_child(exhaust);
    CHECK_TEXT(text, "");
}

static void reserve(void *unused) {
    (void)unused;
    setenv("MEMOMAN_RESERVE", "3M", 1);
    mm_stats_t stats;
    void *p = mm_malloc_global(1);
    SAY(mm_stats_global(&stats, sizeof stats) == 1);
    SAY(stats.pool_bytes >= (size_t)3 << 20 && stats.pool_bytes < (size_t)8 << 20);
    SAY(mm_malloc_global((size_t)20 << 20) != NULL);
    mm_free_global(p);
    SAY(mm_validate_global());
}

TEST(global, reserve_is_the_first_pool) {
    in_child(reserve);
    CHECK_TEXT(text, "");
}

static void malformed(void *unused) {
    (void)unused;
    setenv("MEMOMAN_RESERVE", "lots", 1);
    void *p = mm_malloc_global(1000);
    SAY(p != NULL);
    mm_free_global(p);
    SAY(mm_validate_global());
}

TEST(global, a_malformed_value_is_named_in_one_line_and_ignored) {
    in_child(malformed);
    CHECK(strstr(text, "memoman") != NULL);
    CHECK(strstr(text, "MEMOMAN_RESERVE") != NULL);
    CHECK(strstr(text, "lots") != NULL);
    CHECK(strchr(text, '\n') != NULL && strchr(text, '\n')[1] == 0);
}

static void statistics(void *unused) {
    (void)unused;
    setenv("MEMOMAN_STATS", "1", 1);
    void *p = mm_malloc_global(12345);
    SAY(p != NULL);
    exit(0);
}

TEST(global, stats_are_printed_once_at_exit) {
    in_child(statistics);
    CHECK(strstr(text, "peak") != NULL);
    char *first = strstr(text, "peak");
    CHECK_NULL(strstr(first + 1, "peak"));
}

static void locked(void *unused) {
    (void)unused;
    setenv("MEMOMAN_RESERVE", "64K", 1);
    setenv("MEMOMAN_LOCK", "1", 1);
    void *p = mm_malloc_global(1000);
    SAY(p != NULL);
    memset(p, 1, 1000);
    mm_free_global(p);
    SAY(mm_validate_global());
}

TEST(global, lock_is_no_obstacle) {
    in_child(locked);
}
