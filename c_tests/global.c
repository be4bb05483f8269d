/* The global wrapper on one thread: the singleton, the _global functions, errno, growth and giving
 * back. */
#include "support/heap.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static mm_stats_t stats_now(void) {
    mm_stats_t stats;
    memset(&stats, 0xA5, sizeof stats);
    CHECK_EQ(mm_stats_global(&stats, sizeof stats), 1);
    CHECK_EQ(stats.used + stats.free + stats.overhead, stats.pool_bytes);
    return stats;
}

TEST(global, default_is_a_singleton) {
    mm_allocator_t *allocator = mm_default();
    CHECK(allocator != NULL);
    CHECK_PTR(mm_default(), allocator);
    CHECK(mm_validate(allocator));
    void *p = mm_malloc_global(100);
    CHECK_PTR(mm_default(), allocator);
    CHECK(mm_get_pool_for_ptr(allocator, p) != NULL);
    mm_free_global(p);
}

static void ask_for_default(void *to) {
    *(mm_allocator_t **)to = mm_default();
}

TEST(global, default_is_one_for_all_threads) {
    enum { THREADS = 8 };
    suite_thread threads[THREADS];
    mm_allocator_t *found[THREADS];
    for (int i = 0; i < THREADS; i++) suite_start(&threads[i], ask_for_default, &found[i]);
    for (int i = 0; i < THREADS; i++) suite_join(&threads[i]);
    for (int i = 0; i < THREADS; i++) CHECK(found[i] != NULL && found[i] == mm_default());
}

TEST(global, malloc_of_zero_is_a_unique_pointer) {
    void *blocks[100];
    for (int i = 0; i < 100; i++) {
        blocks[i] = i % 3 == 0   ? mm_malloc_global(0)
                    : i % 3 == 1 ? mm_calloc_global(0, 5)
                                 : mm_realloc_global(NULL, 0);
        CHECK(blocks[i] != NULL);
        for (int k = 0; k < i; k++) CHECK(blocks[k] != blocks[i]);
    }
    for (int i = 0; i < 100; i++) mm_free_global(blocks[i]);
    CHECK(mm_validate_global());
}

/* Around and far beyond the limit of a thread's heap; also blocks that begin a page. */
TEST(global, block_size_of_large_and_of_aligned_blocks) {
    for (size_t n = 200000; n < 40000000; n += n / 3) {
        suite_context("n = %zu", n);
        unsigned char *p = mm_malloc_global(n), *q = mm_memalign_global(4096, n / 1000);
        CHECK(p && q);
        CHECK_GE(mm_block_size(p), n);
        CHECK_LE(mm_block_size(p), n + n / 32 + 65536);
        CHECK_GE(mm_block_size(q), n / 1000);
        fill(p, mm_block_size(p), 3);
        fill(q, mm_block_size(q), 5);
        CHECK_FILLED(p, mm_block_size(p), 3);
        mm_free_global(p);
        mm_free_global(q);
    }
    CHECK(mm_validate_global());
}

TEST(global, sizes_and_contents) {
    size_t live = stats_now().live_blocks;
    for (size_t n = 1; n < 200000; n += n < 100 ? 1 : n / 7) {
        suite_context("n = %zu", n);
        unsigned char *p = mm_malloc_global(n), *q = mm_calloc_global(n, 1);
        CHECK(p && q);
        CHECK_GE(mm_block_size(p), n);
        CHECK_EQ(misalignment(p, QUANTUM) + misalignment(q, QUANTUM), 0);
        for (size_t i = 0; i < n; i++)
            if (q[i]) CHECK_EQ(q[i], 0);
        fill(p, n, 3);
        p = mm_realloc_global(p, 2 * n);
        CHECK(p != NULL);
        CHECK_FILLED(p, n, 3);
        p = mm_realloc_global(p, n / 2 + 1);
        CHECK_FILLED(p, n / 2 + 1, 3);
        mm_free_global(p);
        mm_free_global(q);
    }
    CHECK_EQ(stats_now().live_blocks, live);
    CHECK(mm_validate_global());
}

TEST(global, alignments) {
    for (unsigned k = 0; k <= 22; k++) {
        suite_context("2^%u", k);
        unsigned char *p = mm_memalign_global(POWER(k), 100);
        CHECK(p != NULL);
        CHECK_EQ(misalignment(p, POWER(k)), 0);
        memset(p, 1, 100);
        mm_free_global(p);
    }
    CHECK_NULL(mm_memalign_global(0, 100));
    CHECK_NULL(mm_memalign_global(24, 100));
    /* Half of the address space: a 32-bit process may get it. */
    unsigned char *half = mm_memalign_global(TOP_BIT, 100);
    if (IS_64_BIT) CHECK_NULL(half);
    CHECK_EQ(misalignment(half, TOP_BIT), 0);
    if (half) memset(half, 1, 100);
    mm_free_global(half);
    CHECK_NULL(mm_memalign_global(64, SIZE_MAX - 64));
    CHECK(mm_validate_global());
}

TEST(global, enomem_and_nothing_else) {
    void *p = mm_malloc_global(100);
    fill(p, 100, 5);
    size_t live = stats_now().live_blocks;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 8, SIZE_MAX - 4096, SIZE_MAX / 2,
                                   SIZE_MAX / 2 + 2};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        suite_context("size %zu", sizes[i]);
        errno = 0;
        CHECK_NULL(mm_malloc_global(sizes[i]));
        CHECK_EQ(errno, ENOMEM);
        errno = 0;
        CHECK_NULL(mm_calloc_global(1, sizes[i]));
        CHECK_EQ(errno, ENOMEM);
        errno = 0;
        CHECK_NULL(mm_realloc_global(p, sizes[i]));
        CHECK_EQ(errno, ENOMEM);
        errno = 0;
        CHECK_NULL(mm_memalign_global(4096, sizes[i]));
        CHECK_EQ(errno, ENOMEM);
        CHECK_FILLED(p, 100, 5);
    }
    errno = 0;
    CHECK_NULL(mm_calloc_global(TOP_BIT, 2));
    CHECK_EQ(errno, ENOMEM);
    errno = 0;
    CHECK_NULL(mm_calloc_global(POWER(WORD_BITS / 2), POWER(WORD_BITS / 2)));
    CHECK_EQ(errno, ENOMEM);
    CHECK_EQ(stats_now().live_blocks, live);
    mm_free_global(p);
    CHECK(mm_validate_global());
}

TEST(global, errno_is_kept_on_success) {
    errno = 77;
    void *p = mm_malloc_global(100), *q = mm_malloc_global((size_t)64 << 20);
    CHECK(p && q);
    CHECK_EQ(errno, 77);
    p = mm_realloc_global(p, 5000);
    CHECK_EQ(errno, 77);
    mm_free_global(p);
    mm_free_global(q);
    CHECK_EQ(errno, 77);
    mm_free_global(NULL);
    CHECK_EQ(errno, 77);
}

TEST(global, large_requests_are_given_back) {
    size_t size = (size_t)200 << 20;
    mm_free_global(mm_malloc_global(1));
    size_t before = stats_now().pool_bytes;
    for (int round = 0; round < 20; round++) {
        unsigned char *p = mm_malloc_global(size);
        CHECK(p != NULL);
        p[0] = p[size - 1] = 1;
        CHECK_GE(stats_now().pool_bytes, size);
        mm_free_global(p);
        CHECK(mm_validate_global());
    }
    CHECK_LE(stats_now().pool_bytes, before + size / 2);
}

TEST(global, grows_as_needed_and_adds_up) {
    enum { COUNT = 20000 };
    static unsigned char *blocks[COUNT];
    size_t live = stats_now().live_blocks, used = stats_now().used, expected = used;
    for (size_t i = 0; i < COUNT; i++) {
        size_t n = i * 37 % 5000 + 1;
        blocks[i] = mm_malloc_global(n);
        CHECK(blocks[i] != NULL);
        expected += mm_block_size(blocks[i]) + HEADER;
        fill(blocks[i], 8 < n ? 8 : n, (unsigned)i);
    }
    CHECK_EQ(stats_now().used, expected);
    CHECK_EQ(stats_now().live_blocks, live + COUNT);
    CHECK(mm_validate_global());
    for (size_t i = 0; i < COUNT; i++) {
        size_t n = i * 37 % 5000 + 1;
        CHECK_FILLED(blocks[i], 8 < n ? 8 : n, (unsigned)i);
        mm_free_global(blocks[i]);
    }
    CHECK_EQ(stats_now().used, used);
    CHECK_EQ(stats_now().live_blocks, live);
    CHECK(mm_validate_global());
}

TEST(global, stats_structs_of_other_sizes) {
    unsigned char bytes[2 * sizeof(mm_stats_t)];
    for (size_t size = 0; size <= sizeof bytes; size++) {
        memset(bytes, 0xA5, sizeof bytes);
        CHECK_EQ(mm_stats_global((mm_stats_t *)(void *)bytes, size), 1);
        for (size_t i = size; i < sizeof bytes; i++) CHECK_EQ(bytes[i], 0xA5);
    }
    CHECK_EQ(mm_stats_global(NULL, 0), 0);
    CHECK_EQ(mm_stats_global(NULL, sizeof(mm_stats_t)), 0);
}

static void frees_twice(void *block) {
    mm_free_global(block);
    mm_free_global(block);
}

TEST(global, double_free_aborts_with_one_line) {
    char text[512], expected[128];
    void *before = mm_malloc_global(100), *block = mm_malloc_global(100),
         *after = mm_malloc_global(100);
    CHECK(before && block && after);
    int status = suite_in_child(frees_twice, block, text, sizeof text);
    snprintf(expected, sizeof expected, "memoman: double free: 0x%llx\n",
             (unsigned long long)(uintptr_t)block);
    CHECK_TEXT(text, expected);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGABRT);
}

static int handler_calls;
static void count_call(const char *message, const void *pointer, void *user) {
    (void)message, (void)pointer, (void)user;
    handler_calls++;
}

TEST(global, the_handles_error_handler_serves_the_global_functions) {
    void *block = mm_malloc_global(100);
    mm_set_error_handler(mm_default(), count_call, NULL);
    mm_free_global((char *)block + 1);
    CHECK_EQ(handler_calls, 1);
    CHECK_NULL(mm_realloc_global((char *)block + 1, 10));
    CHECK_EQ(handler_calls, 2);
    mm_set_error_handler(mm_default(), NULL, NULL);
    mm_free_global(block);
    CHECK(mm_validate_global());
}
