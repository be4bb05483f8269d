/* Observers: one event for each call that changes the allocator, none for one that does not, and
 * none that changes it by itself. */
#include "support/heap.h"

static mm_allocator_t *heap;

/* The events, and what the observer does. */
static struct {
    size_t count;
    mm_event_t events[64];
    void (*act)(const mm_event_t *event);
} seen;

static void observe(const mm_event_t *event, void *user) {
    CHECK_PTR(user, &seen);
    CHECK_PTR(event->allocator, heap);
    if (seen.count < 64) seen.events[seen.count] = *event;
    seen.count++;
    if (seen.act) seen.act(event);
}

static void begin(void) {
    suite_release();
    memset(&seen, 0, sizeof seen);
    heap = heap_new(heap_is_debug() ? 16384 : 8192);
    CHECK_EQ(mm_set_observer(heap, observe, &seen), 1);
}

/* The last event, the only one since the one before. */
static mm_event_t *event(int kind) {
    CHECK_EQ(seen.count, 1);
    seen.count = 0;
    CHECK_EQ(seen.events[0].kind, kind);
    return &seen.events[0];
}

static void is_block(const mm_event_t *event, void *ptr, size_t bytes, size_t align) {
    CHECK(ptr != NULL);
    CHECK_PTR(event->ptr, ptr);
    CHECK_EQ(event->bytes, bytes);
    CHECK_EQ(event->block_bytes, mm_block_size(ptr));
    CHECK_EQ(event->align, align);
}

TEST(observe, every_call_for_a_block_is_one_event) {
    begin();
    void *p = mm_malloc(heap, 100), *q, *r;
    is_block(event(MM_EVENT_MALLOC), p, 100, 0);
    q = mm_calloc(heap, 3, 100);
    is_block(event(MM_EVENT_CALLOC), q, 300, 0);
    for (size_t i = 0; i < 300; i++) CHECK_EQ(((unsigned char *)q)[i], 0);
    r = mm_memalign(heap, 256, 50);
    is_block(event(MM_EVENT_MEMALIGN), r, 50, 256);
    CHECK_EQ(misalignment(r, 256), 0);
    void *old = p;
    p = mm_realloc(heap, p, 700);
    is_block(event(MM_EVENT_REALLOC), p, 700, 0);
    CHECK_PTR(seen.events[0].old_ptr, old);
    old = p;
    p = mm_realloc(heap, p, 700);
    is_block(event(MM_EVENT_REALLOC), p, 700, 0);
    CHECK_PTR(seen.events[0].old_ptr, old);
    old = r;
    r = mm_realloc_aligned(heap, r, 512, 900);
    is_block(event(MM_EVENT_REALLOC), r, 900, 512);
    CHECK_PTR(seen.events[0].old_ptr, old);
    void *s = mm_realloc(heap, NULL, 10), *t = mm_realloc_aligned(heap, NULL, 64, 10);
    CHECK_EQ(seen.count, 2);
    CHECK_EQ(seen.events[0].kind, MM_EVENT_MALLOC);
    CHECK_EQ(seen.events[1].kind, MM_EVENT_MEMALIGN);
    seen.count = 0;
    void *blocks[] = {p, q, r};
    for (int i = 0; i < 3; i++) {
        size_t usable = mm_block_size(blocks[i]);
        mm_free(heap, blocks[i]);
        mm_event_t *freed = event(MM_EVENT_FREE);
        CHECK_PTR(freed->ptr, blocks[i]);
        CHECK_NULL(freed->old_ptr);
        CHECK_EQ(freed->bytes, 0);
        CHECK_EQ(freed->block_bytes, usable);
    }
    CHECK_NULL(mm_realloc(heap, s, 0));
    CHECK_PTR(event(MM_EVENT_FREE)->ptr, s);
    CHECK_NULL(mm_realloc_aligned(heap, t, 64, 0));
    CHECK_PTR(event(MM_EVENT_FREE)->ptr, t);
    HEAP_SOUND(heap);
    CHECK_EQ(heap_stats(heap).live_blocks, 0);
}

TEST(observe, calls_without_effect_are_no_events) {
    begin();
    CHECK_NULL(mm_malloc(heap, 0));
    CHECK_NULL(mm_calloc(heap, 0, 5));
    CHECK_NULL(mm_memalign(heap, 24, 5));
    CHECK_NULL(mm_memalign(heap, 0, 5));
    mm_free(heap, NULL);
    CHECK_NULL(mm_add_pool(heap, NULL, 4096));
    CHECK(!mm_remove_pool(heap, heap));
    CHECK(!mm_extend_pool(heap, NULL, 4096));
    CHECK_EQ(seen.count, 0);
    HEAP_SOUND(heap);
}

TEST(observe, failed_requests_are_events) {
    begin();
    void *p = mm_malloc(heap, 100);
    (void)event(MM_EVENT_MALLOC);
    CHECK_NULL(mm_malloc(heap, 1 << 20));
    mm_event_t *failed = event(MM_EVENT_FAILED);
    CHECK_NULL(failed->ptr);
    CHECK_NULL(failed->old_ptr);
    CHECK_EQ(failed->bytes, 1 << 20);
    CHECK_EQ(failed->block_bytes, 0);
    CHECK_NULL(mm_calloc(heap, SIZE_MAX, 2));
    CHECK_EQ(event(MM_EVENT_FAILED)->bytes, SIZE_MAX);
    CHECK_NULL(mm_memalign(heap, 4096, 1 << 20));
    CHECK_EQ(event(MM_EVENT_FAILED)->align, 4096);
    CHECK_NULL(mm_realloc(heap, p, 1 << 20));
    CHECK_PTR(event(MM_EVENT_FAILED)->old_ptr, p);
    CHECK_NULL(mm_realloc_aligned(heap, p, 64, 1 << 20));
    CHECK_PTR(event(MM_EVENT_FAILED)->old_ptr, p);
    CHECK_EQ(heap_stats(heap).failed_requests, 5);
    CHECK_GE(mm_block_size(p), 100);
}

TEST(observe, pools_and_reset_are_events) {
    begin();
    unsigned char *region = suite_memory(QUANTUM, 8192);
    mm_pool_t *pool = mm_add_pool(heap, region, 4096);
    CHECK(pool != NULL);
    mm_event_t *added = event(MM_EVENT_POOL_ADDED);
    CHECK_PTR(added->ptr, pool);
    CHECK_EQ(added->bytes, 4096);
    CHECK(mm_extend_pool(heap, pool, 1024));
    CHECK_PTR(event(MM_EVENT_POOL_EXTENDED)->ptr, pool);
    CHECK_EQ(seen.events[0].bytes, 5120);
    CHECK(mm_malloc(heap, 100) != NULL);
    (void)event(MM_EVENT_MALLOC);
    CHECK(mm_reset(heap));
    CHECK_NULL(event(MM_EVENT_RESET)->ptr);
    CHECK(mm_remove_pool(heap, pool));
    CHECK_PTR(event(MM_EVENT_POOL_REMOVED)->ptr, pool);
    CHECK_EQ(seen.events[0].bytes, 5120);
    HEAP_SOUND(heap);
    CHECK(mm_malloc(heap, 100) != NULL);
    (void)event(MM_EVENT_MALLOC);
}

/* The same calls with and without an observer, in a pool in which none fails. */
static heap_state after_calls(int observed, unsigned char *control, unsigned char *region) {
    memset(&seen, 0, sizeof seen);
    heap = mm_create(control);
    CHECK(mm_add_pool(heap, region, 120000) != NULL);
    if (observed) CHECK(mm_set_observer(heap, observe, &seen));
    suite_random random = suite_seeded(7);
    void *blocks[40] = {0};
    for (int turn = 0; turn < 3000; turn++) {
        size_t slot = suite_below(&random, 40), bytes = suite_below(&random, 1500);
        switch (suite_below(&random, 5)) {
            case 0:
                mm_free(heap, blocks[slot]);
                blocks[slot] = NULL;
                break;
            case 1:
            case 2: {
                blocks[slot] = mm_realloc(heap, blocks[slot], bytes + 1);
                CHECK(blocks[slot] != NULL);
                break;
            }
            case 3:
                if (blocks[slot] == NULL) blocks[slot] = mm_memalign(heap, 64, bytes + 1);
                break;
            default:
                if (blocks[slot] == NULL) blocks[slot] = mm_malloc(heap, bytes);
        }
    }
    if (observed) CHECK_GE(seen.count, 1500);
    CHECK(mm_set_observer(heap, NULL, NULL));
    HEAP_SOUND(heap);
    heap_state state = heap_freeze(heap);
    mm_destroy(heap);
    return state;
}

/* Each call has the same result; which free block it takes may differ, and with it the slack of a
 * block, at most a 32nd of it. */
TEST(observe, an_observer_changes_no_result) {
    unsigned char *control = suite_memory(QUANTUM, mm_size());
    unsigned char *region = suite_memory(QUANTUM, 120000);
    heap_state plain = after_calls(0, control, region);
    heap_state observed = after_calls(1, control, region);
    CHECK_EQ(plain.stats.live_blocks, observed.stats.live_blocks);
    CHECK_EQ(plain.stats.failed_requests, observed.stats.failed_requests);
    CHECK_EQ(plain.stats.pool_bytes, observed.stats.pool_bytes);
    CHECK_LE(plain.stats.used, observed.stats.used + observed.stats.used / 32);
    CHECK_LE(observed.stats.used, plain.stats.used + plain.stats.used / 32);
}

TEST(observe, removed_it_is_called_no_more) {
    begin();
    CHECK_EQ(mm_set_observer(heap, NULL, NULL), 1);
    void *p = mm_malloc(heap, 100);
    mm_free(heap, p);
    CHECK(mm_reset(heap));
    CHECK_EQ(seen.count, 0);
    CHECK(mm_set_observer(heap, observe, &seen));
    CHECK(mm_malloc(heap, 100) != NULL);
    (void)event(MM_EVENT_MALLOC);
}

TEST(observe, null_and_the_process_wide_handle_are_refused) {
    CHECK_EQ(mm_set_observer(NULL, observe, &seen), 0);
    CHECK_EQ(mm_set_exhausted_handler(NULL, NULL, NULL), 0);
    CHECK_EQ(mm_set_observer(mm_default(), observe, &seen), 0);
    CHECK_EQ(mm_set_exhausted_handler(mm_default(), NULL, NULL), 0);
    void *p = mm_malloc_global(100);
    CHECK(p != NULL);
    mm_free_global(p);
}

/* Calls back into the allocator. */
static size_t reports;
static const char *message;

static void report(const char *what, const void *where, void *user) {
    CHECK(where != NULL);
    CHECK_PTR(user, &reports);
    message = what;
    reports++;
}

static void *kept;

static void change(const mm_event_t *event) {
    seen.act = NULL;
    (void)event;
    reports = 0;
    mm_stats_t before, after;
    mm_stats(heap, &before, sizeof before);
    unsigned char *region = suite_memory(QUANTUM, 4096);
    CHECK_NULL(mm_malloc(heap, 10));
    CHECK_NULL(mm_calloc(heap, 10, 10));
    CHECK_NULL(mm_memalign(heap, 64, 10));
    CHECK_NULL(mm_realloc(heap, kept, 1000));
    CHECK_NULL(mm_realloc(heap, NULL, 1000));
    CHECK_NULL(mm_realloc_aligned(heap, kept, 64, 1000));
    mm_free(heap, kept);
    CHECK_EQ(reports, 7);
    CHECK_NULL(mm_add_pool(heap, region, 4096));
    CHECK_EQ(mm_extend_pool(heap, mm_get_pool(heap), 4096), 0);
    CHECK_EQ(mm_remove_pool(heap, mm_get_pool(heap)), 0);
    CHECK_EQ(mm_reset(heap), 0);
    CHECK_EQ(mm_set_observer(heap, NULL, NULL), 0);
    CHECK_EQ(mm_set_exhausted_handler(heap, NULL, NULL), 0);
    mm_destroy(heap);
    CHECK_EQ(reports, 14);
    CHECK_TEXT(message, "call from a callback of the same allocator");
    mm_stats(heap, &after, sizeof after);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    CHECK(mm_validate(heap));
    /* Another allocator is free to use. */
    mm_allocator_t *other = heap_new(1000);
    CHECK(mm_malloc(other, 100) != NULL);
}

TEST(observe, a_call_back_is_reported_and_has_no_effect) {
    begin();
    mm_set_error_handler(heap, report, &reports);
    kept = mm_malloc(heap, 100);
    for (int i = 0; i < 3; i++) {
        seen.count = 0;
        seen.act = change;
        void *p = i == 2 ? mm_malloc(heap, 1 << 20) : mm_malloc(heap, 200);
        CHECK(i == 2 ? p == NULL : p != NULL);
        CHECK_EQ(seen.count, 1);
        CHECK_EQ(reports, 14);
    }
    seen.act = change;
    CHECK(mm_add_pool(heap, suite_memory(QUANTUM, 4096), 4096) != NULL);
    CHECK_EQ(reports, 14);
    seen.count = 0;
    mm_free(heap, kept);
    (void)event(MM_EVENT_FREE);
}

TEST(observe, misuse_is_reported_and_is_no_event) {
    begin();
    mm_set_error_handler(heap, report, &reports);
    void *p = mm_malloc(heap, 100), *q = mm_malloc(heap, 100);
    mm_free(heap, p);
    seen.count = reports = 0;
    mm_free(heap, p);
    CHECK_EQ(reports, 1);
    CHECK_TEXT(message, "double free");
    CHECK_NULL(mm_realloc(heap, p, 500));
    CHECK_EQ(reports, 2);
    mm_free(heap, (char *)q + QUANTUM);
    CHECK_EQ(reports, 3);
    CHECK_EQ(seen.count, 0);
}

static int give_up(mm_allocator_t *allocator, size_t bytes, size_t align, const mm_stats_t *stats,
                   void *user) {
    (void)allocator, (void)bytes, (void)align, (void)stats, (void)user;
    return 0;
}

TEST(observe, wild_pointers_are_reported_and_are_no_events) {
    size_t wild[] = {QUANTUM, 4096, SIZE_MAX / QUANTUM * QUANTUM, TOP_BIT / 8 * 7};
    for (int observed = 0; observed < 2; observed++) {
        begin();
        mm_set_error_handler(heap, report, &reports);
        if (!observed) {
            CHECK(mm_set_observer(heap, NULL, NULL));
            CHECK(mm_set_exhausted_handler(heap, give_up, NULL));
        }
        for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
            void *ptr = (void *)(uintptr_t)wild[i];
            reports = 0;
            mm_free(heap, ptr);
            CHECK_EQ(reports, 1);
            if (!heap_is_debug()) CHECK_TEXT(message, "pointer outside every pool");
            CHECK_NULL(mm_realloc(heap, ptr, 0));
            CHECK_NULL(mm_realloc(heap, ptr, 100));
            CHECK_EQ(reports, 3);
        }
        CHECK_EQ(seen.count, 0);
        HEAP_SOUND(heap);
    }
}

TEST(observe, an_overwritten_observer_is_not_called) {
    begin();
    mm_set_error_handler(heap, report, &reports);
    size_t *word = (size_t *)(void *)heap, found = 0;
    for (size_t i = 0; i < mm_size() / sizeof *word; i++) {
        size_t old = word[i];
        if (old != (size_t)(uintptr_t)observe && old != (size_t)(uintptr_t)&seen) continue;
        found++;
        seen.count = reports = 0;
        word[i] = old + 16;
        CHECK_NULL(mm_malloc(heap, 100));
        CHECK_EQ(reports, 1);
        CHECK_TEXT(message, "observer or cache overwritten");
        CHECK_EQ(seen.count, 0);
        if (!heap_is_debug()) CHECK(!mm_validate(heap));
        word[i] = old;
        if (!heap_is_debug()) break; /* validation has marked the control structure */
    }
    CHECK_GE(found, 1);
}

static int keep_nothing(const char *text, size_t bytes, void *user) {
    return text != NULL && bytes != 0 && user == NULL;
}

TEST(observe, damage_of_the_control_structure_is_found) {
    size_t max_block = 4096, words = mm_size_for(max_block) / sizeof(size_t), damaged = 0;
    size_t *control = suite_memory(QUANTUM, mm_size_for(max_block));
    unsigned char *region = suite_memory(QUANTUM, 8192);
    size_t values[] = {0, 8, 500, (size_t)1 << 30, (size_t)(uintptr_t)region + 1, SIZE_MAX};
    heap = NULL;
    for (size_t i = 0; i < words; i++) {
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            if (heap == NULL) {
                heap = mm_create_for(control, max_block);
                CHECK(mm_add_pool(heap, region, 8192) != NULL);
                mm_set_error_handler(heap, report, &reports);
                CHECK(mm_set_observer(heap, observe, &seen));
                void *p = mm_malloc(heap, 100);
                CHECK(mm_malloc(heap, 100) != NULL);
                mm_free(heap, p);
            }
            size_t old = control[i];
            control[i] = values[j];
            mm_measure_t measure;
            mm_violation_t violation;
            mm_cursor_t cursor = {0};
            int sound = mm_validate(heap);
            CHECK_EQ(sound, mm_diagnose(heap, &violation) == 0);
            CHECK_EQ(sound, mm_check(heap) == 0);
            int text = mm_dump(heap, keep_nothing, NULL, MM_DUMP_TEXT);
            CHECK_EQ(text, mm_dump(heap, keep_nothing, NULL, MM_DUMP_JSON));
            /* A dump does not show what the debug library adds to the control structure. */
            CHECK(heap_is_debug() ? text >= sound : text == sound);
            (void)mm_measure(heap, &measure);
            while (mm_validate_step(heap, &cursor, 8) == 2) {}
            damaged += !sound;
            control[i] = old;
            /* Damage of the observer's own words marks the control structure. */
            if (mm_validate(heap)) continue;
            mm_destroy(heap);
            heap = NULL;
        }
    }
    CHECK_GE(damaged, 5 * 60);
}

TEST(observe, setting_one_writes_in_the_control_structure_only) {
    size_t max_block = 4096, bytes = mm_size_for(max_block), zone = 32768;
    size_t *control = suite_memory(QUANTUM, bytes + zone);
    size_t values[] = {0, 200, 900, (size_t)1 << 30, SIZE_MAX};
    fill(control + bytes / sizeof *control, zone, 5);
    for (size_t i = 0; i < bytes / sizeof *control; i++) {
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            heap = mm_create_for(control, max_block);
            mm_set_error_handler(heap, report, &reports);
            size_t old = control[i];
            control[i] = values[j];
            (void)mm_set_observer(heap, observe, &seen);
            (void)mm_set_observer(heap, NULL, NULL);
            CHECK_FILLED(control + bytes / sizeof *control, zone, 5);
            control[i] = old;
            mm_destroy(heap);
        }
    }
}
