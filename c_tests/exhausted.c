/* Handlers of exhausted requests: a pool and one retry. */
#include "support/heap.h"

static mm_allocator_t *heap;

static size_t reports;

static void report(const char *what, const void *where, void *user) {
    (void)what, (void)where;
    CHECK_PTR(user, &reports);
    reports++;
}

static struct {
    size_t calls, bytes, align, freed;
    int answer;
    unsigned char *region;
    void *cached;
} want;

static int provide(mm_allocator_t *allocator, size_t bytes, size_t align, const mm_stats_t *stats,
                   void *user) {
    CHECK_PTR(allocator, heap);
    CHECK_PTR(user, &want);
    want.calls++;
    want.bytes = bytes;
    want.align = align;
    CHECK_EQ(stats->used + stats->free + stats->overhead, stats->pool_bytes);
    CHECK(heap_is_debug() || stats->largest < bytes || align != 0);
    if (want.region != NULL) CHECK(mm_add_pool(allocator, want.region, 1 << 16) != NULL);
    want.region = NULL;
    if (want.cached != NULL) {
        mm_free(allocator, want.cached);
        heap_settle(allocator);
    }
    want.cached = NULL;
    return want.answer;
}

static void begin(void) {
    suite_release();
    heap = heap_new(heap_is_debug() ? 16384 : 8192);
    memset(&want, 0, sizeof want);
    CHECK_EQ(mm_set_exhausted_handler(heap, provide, &want), 1);
}

TEST(observe, an_exhausted_request_gets_a_pool_and_is_served) {
    begin();
    void *p = mm_malloc(heap, 100);
    CHECK_EQ(want.calls, 0);
    want.answer = 1;
    want.region = suite_memory(QUANTUM, 1 << 16);
    void *q = mm_malloc(heap, 40000);
    CHECK_BLOCK(q, 40000);
    CHECK_EQ(want.calls, 1);
    CHECK_EQ(want.bytes, 40000);
    CHECK_EQ(want.align, 0);
    CHECK_EQ(heap_stats(heap).failed_requests, 0);
    HEAP_SOUND(heap);
    fill(p, 100, 3);
    want.region = suite_memory(QUANTUM, 1 << 16);
    p = mm_realloc(heap, p, 50000);
    CHECK(p != NULL);
    CHECK_FILLED(p, 100, 3);
    CHECK_EQ(want.calls, 2);
    want.region = suite_memory(QUANTUM, 1 << 16);
    CHECK(mm_memalign(heap, 1024, 50000) != NULL);
    CHECK_EQ(want.align, 1024);
    CHECK_EQ(heap_stats(heap).failed_requests, 0);
    HEAP_SOUND(heap);
}

TEST(observe, one_retry_only_and_the_refusal_is_counted_once) {
    begin();
    want.answer = 1;
    CHECK_NULL(mm_malloc(heap, 1 << 20));
    CHECK_EQ(want.calls, 1);
    CHECK_EQ(heap_stats(heap).failed_requests, 1);
    want.answer = 0;
    want.region = suite_memory(QUANTUM, 1 << 16);
    CHECK_NULL(mm_malloc(heap, 40000));
    CHECK_EQ(want.calls, 2);
    CHECK_EQ(heap_stats(heap).failed_requests, 2);
    CHECK(mm_malloc(heap, 40000) != NULL);
    CHECK_EQ(want.calls, 2);
    /* Refused for another reason than memory. */
    CHECK_NULL(mm_malloc(heap, 0));
    CHECK_NULL(mm_memalign(heap, 3, 10));
    CHECK_EQ(want.calls, 2);
}

TEST(observe, the_handler_may_free_a_block_and_nothing_else) {
    begin();
    mm_set_error_handler(heap, report, &reports);
    reports = 0;
    size_t half = heap_stats(heap).largest / 2;
    want.cached = mm_malloc(heap, half + 500);
    want.answer = 1;
    CHECK(mm_malloc(heap, half + 500) != NULL);
    CHECK_EQ(want.calls, 1);
    CHECK_EQ(reports, 0);
    HEAP_SOUND(heap);
}

static int allocate_inside(mm_allocator_t *allocator, size_t bytes, size_t align,
                           const mm_stats_t *stats, void *user) {
    (void)bytes, (void)align, (void)stats, (void)user;
    reports = 0;
    CHECK_NULL(mm_malloc(allocator, 10));
    CHECK_EQ(mm_reset(allocator), 0);
    CHECK_EQ(mm_set_exhausted_handler(allocator, NULL, NULL), 0);
    CHECK_EQ(reports, 3);
    return 1;
}

TEST(observe, a_handler_that_allocates_is_reported) {
    begin();
    mm_set_error_handler(heap, report, &reports);
    CHECK(mm_set_exhausted_handler(heap, allocate_inside, NULL));
    CHECK_NULL(mm_malloc(heap, 1 << 20));
    CHECK_EQ(reports, 3);
    CHECK(mm_malloc(heap, 100) != NULL);
    HEAP_SOUND(heap);
}

static int kinds[4];
static size_t events;

static void observe(const mm_event_t *event, void *user) {
    (void)user;
    if (events < 4) kinds[events] = event->kind;
    events++;
}

TEST(observe, observer_and_handler_together) {
    begin();
    events = 0;
    CHECK(mm_set_observer(heap, observe, NULL));
    want.answer = 1;
    want.region = suite_memory(QUANTUM, 1 << 16);
    CHECK(mm_malloc(heap, 40000) != NULL);
    CHECK_EQ(events, 2);
    CHECK_EQ(kinds[0], MM_EVENT_POOL_ADDED);
    CHECK_EQ(kinds[1], MM_EVENT_MALLOC);
    CHECK(mm_set_exhausted_handler(heap, NULL, NULL));
    CHECK_NULL(mm_malloc(heap, 1 << 20));
    CHECK_EQ(events, 3);
    CHECK_EQ(kinds[2], MM_EVENT_FAILED);
}
