/* The optional cache: what the C functions do with one, and the report of misuse. */
#include "support/heap.h"

enum { EACH = 4 };

static mm_allocator_t *heap;
/* For requests up to 4 KiB. */
static void *table[140];

static struct {
    size_t count;
    const char *message;
    const void *ptr;
} error;

static void note(const char *message, const void *ptr, void *user) {
    CHECK_PTR(user, &error);
    error.count++, error.message = message, error.ptr = ptr;
}

/* The one error since the last call. */
static void is_error(const char *message, const void *ptr) {
    CHECK_EQ(error.count, 1);
    CHECK(strcmp(error.message, message) == 0);
    CHECK_PTR(error.ptr, ptr);
    error.count = 0;
}

/* Whether anything is cached: not by the debug library, nor under a memory checker, nor on 32-bit
 * targets, nor in the small library, which has no observers either. */
static int begin(void) {
    suite_release();
    heap = heap_new(32768);
    CHECK(mm_set_cache(heap, table, sizeof table, EACH) == 1 || sizeof(void *) == 4 ||
          !mm_set_observer(heap, NULL, NULL));
    memset(&error, 0, sizeof error);
    mm_set_error_handler(heap, note, &error);
    mm_free(heap, mm_malloc(heap, 8));
    return heap_stats(heap).cached > 0;
}

static size_t cached(void) { return heap_stats(heap).cached; }

TEST(cache, a_block_returns_to_the_next_call_of_its_size) {
    if (!begin()) return;
    mm_malloc(heap, 8);
    void *p = mm_malloc(heap, 100), *wall = mm_malloc(heap, 100);
    mm_free(heap, p);
    CHECK(cached() > 100);
    CHECK_PTR(mm_malloc(heap, 97), p);
    CHECK_EQ(cached(), 0);
    memset(p, 0xee, 100);
    mm_free(heap, p);
    CHECK_PTR(mm_calloc(heap, 10, 10), p);
    for (size_t i = 0; i < 100; i++) CHECK_EQ(((unsigned char *)p)[i], 0);
    mm_free(heap, p);
    void *q = mm_memalign(heap, 256, 600);
    CHECK_EQ(misalignment(q, 256), 0);
    mm_free(heap, q);
    CHECK_PTR(mm_memalign(heap, 256, 600), q);
    mm_free(heap, q);
    /* A block that cannot grow in place moves to a cached one. */
    void *other = mm_malloc(heap, 700);
    CHECK(other && mm_malloc(heap, 40));
    mm_free(heap, other);
    CHECK_PTR(mm_realloc(heap, wall, 700), other);
    CHECK_EQ(error.count, 0);
}

TEST(cache, misuse_is_reported) {
    if (!begin()) return;
    void *p = mm_malloc(heap, 100);
    mm_free(heap, p);
    mm_free(heap, p);
    is_error("double free", p);
    CHECK_NULL(mm_realloc(heap, p, 50));
    is_error("double free", p);
    CHECK_EQ(mm_block_size(p), 0);
    mm_free(heap, (char *)p + 1);
    is_error("misaligned pointer", (char *)p + 1);
    mm_free(heap, &error);
    is_error("pointer outside every pool", &error);
    mm_free(heap, NULL);
    CHECK_EQ(error.count, 0);
    ((size_t *)p)[0] ^= 1;
    CHECK_NULL(mm_malloc(heap, 100));
    is_error("free-list link overwritten", p);
    CHECK_EQ(mm_validate(heap), 0);
    CHECK_EQ(mm_set_cache(heap, NULL, 0, 0), 0);
    is_error("free-list link overwritten", p);
    ((size_t *)p)[0] ^= 1;
    CHECK_EQ(mm_set_cache(heap, NULL, 0, 0), 1);
    CHECK_EQ(heap_stats(heap).used, 0);
}

static int handler_calls;

/* No hit serves a call of the handler; it may free. */
static int ask(mm_allocator_t *allocator, size_t bytes, size_t align, const mm_stats_t *stats,
               void *user) {
    (void)bytes, (void)align, (void)stats;
    handler_calls++;
    mm_free(allocator, user);
    CHECK_EQ(error.count, 0);
    CHECK_NULL(mm_malloc(allocator, 100));
    is_error("call from a callback of the same allocator", allocator);
    CHECK(mm_validate(allocator));
    return 0;
}

TEST(cache, a_handler_of_exhausted_requests_cannot_allocate) {
    begin();
    void *p = mm_malloc(heap, 100), *q = mm_malloc(heap, 100);
    CHECK(p && q);
    handler_calls = 0;
    if (!mm_set_exhausted_handler(heap, ask, p)) return;
    mm_free(heap, q);
    CHECK_NULL(mm_malloc(heap, 1 << 20));
    CHECK_EQ(handler_calls, 1);
    CHECK(mm_validate(heap));
    CHECK_EQ(mm_set_exhausted_handler(heap, NULL, NULL), 1);
    CHECK(mm_malloc(heap, 100) != NULL);
    CHECK_EQ(error.count, 0);
}

static void observe(const mm_event_t *event, void *user) { (void)event, (void)user; }

TEST(cache, damage_refuses_an_observer_and_is_dumped) {
    if (!begin()) return;
    void *p = mm_malloc(heap, 100);
    mm_free(heap, p);
    ((size_t *)p)[0] ^= 2;
    CHECK_EQ(mm_set_observer(heap, observe, NULL), 0);
    is_error("free-list link overwritten", p);
    ((size_t *)p)[0] ^= 2;
    CHECK_PTR(mm_malloc(heap, 100), p);
    mm_free(heap, p);
    /* The table, whose memory is the program's again after a reset. */
    memset(table, 0x41, 80);
    CHECK_EQ(mm_set_cache(heap, NULL, 0, 0), 0);
    CHECK_EQ(error.count, 1);
    error.count = 0;
    CHECK_EQ(mm_validate(heap), 0);
    CHECK_EQ(mm_reset(heap), 1);
    CHECK(mm_validate(heap));
    CHECK_EQ(heap_stats(heap).used, 0);
    CHECK_EQ(error.count, 0);
}

TEST(cache, a_refusal_comes_after_all_cached_blocks_are_free) {
    begin();
    size_t largest = heap_stats(heap).largest;
    void *blocks[64];
    for (size_t i = 0; i < 64; i++) CHECK(blocks[i] = mm_malloc(heap, 8 * i + 8));
    for (size_t i = 0; i < 64; i++) mm_free(heap, blocks[i]);
    void *whole = mm_malloc(heap, largest);
    CHECK(whole != NULL);
    CHECK_EQ(cached(), 0);
    CHECK_NULL(mm_malloc(heap, largest));
    CHECK_EQ(heap_stats(heap).failed_requests, 1);
    mm_free(heap, whole);
    CHECK_EQ(error.count, 0);
}

TEST(cache, random_calls_leave_a_sound_heap) {
    begin();
    void *blocks[100] = {NULL};
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < 20000; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        size_t at = state % 100, bytes = (state >> 32) % (state % 7 ? 300 : 5000) + 1;
        if ((state >> 20) % 3 == 0) {
            void *resized = mm_realloc(heap, blocks[at], bytes);
            if (resized) blocks[at] = resized;
        } else {
            mm_free(heap, blocks[at]);
            blocks[at] = (state >> 21) % 4 ? mm_malloc(heap, bytes)
                                           : mm_memalign(heap, (size_t)16 << state % 5, bytes);
        }
        if (blocks[at]) memset(blocks[at], (int)i, mm_block_size(blocks[at]));
        if (i % 500 == 0) CHECK(mm_validate(heap));
    }
    for (size_t i = 0; i < 100; i++) mm_free(heap, blocks[i]);
    CHECK(mm_validate(heap));
    if (cached() > 0) CHECK_EQ(mm_set_cache(heap, NULL, 0, 0), 1);
    CHECK_EQ(error.count, 0);
    heap_settle(heap);
    CHECK_EQ(heap_stats(heap).used, 0);
    CHECK_EQ(mm_reset(heap), 1);
}

TEST(cache, impossible_ones_are_refused) {
    int caches = begin();
    CHECK_EQ(mm_set_cache(NULL, table, sizeof table, EACH), 0);
    /* Also where nothing is cached. */
    CHECK_EQ(mm_set_cache(heap, table, 103, EACH), 0);
    CHECK_EQ(mm_set_cache(heap, table, sizeof table, 0), 0);
    CHECK_EQ(mm_set_cache(heap, table, sizeof table, 16), 0);
    CHECK_EQ(mm_set_cache(heap, heap, sizeof table, EACH), 0);
    void *inside = mm_malloc(heap, 8192);
    CHECK(inside != NULL);
    CHECK_EQ(mm_set_cache(heap, inside, 1024, EACH), 0);
    mm_free(heap, inside);
    if (caches) CHECK_EQ(mm_set_cache(heap, NULL, 0, 0), 1);
    if (caches) CHECK_EQ(mm_set_cache(heap, NULL, 0, 0), 1);
    CHECK_EQ(cached(), 0);
    CHECK(mm_validate(heap));
}
