/* Measure and dump: what they say equals a walk, on a sound heap; on a damaged one the dump names
 * the damage, and neither reads outside the pools. */
#include "support/heap.h"

static mm_allocator_t *heap;
static unsigned char *a, *b, *c;

static void begin(void) {
    suite_release();
    heap = heap_new(4096);
    a = mm_malloc(heap, 100);
    b = mm_malloc(heap, 200);
    c = mm_malloc(heap, 300);
    CHECK(a && b && c);
    mm_free(heap, b);
    heap_settle(heap);
}

/* The dump as text. */
static char dump[1 << 18];
static size_t dumped, pieces, stop_after;

static int keep(const char *text, size_t bytes, void *user) {
    CHECK_PTR(user, dump);
    CHECK(bytes > 0 && bytes <= 96);
    CHECK(dumped + bytes < sizeof dump);
    memcpy(dump + dumped, text, bytes);
    dumped += bytes;
    dump[dumped] = '\0';
    return ++pieces != stop_after;
}

static int dump_as(int format) {
    dumped = pieces = stop_after = 0;
    dump[0] = '\0';
    return mm_dump(heap, keep, dump, format);
}

static size_t count(const char *what) {
    size_t found = 0;
    for (const char *at = dump; (at = strstr(at, what)) != NULL; at++) found++;
    return found;
}

/* The number after the first `key` from `text` on. */
static size_t number(const char *text, const char *key) {
    const char *at = strstr(text, key);
    if (at == NULL) suite_fail(__FILE__, __LINE__, "no %s in the dump", key);
    return (size_t)strtoull(at + strlen(key), NULL, 10);
}

TEST(dump, measure_equals_a_walk) {
    mm_measure_t measure;
    begin();
    CHECK_EQ(mm_measure(heap, &measure), 1);
    mm_stats_t stats = heap_stats(heap);
    CHECK_EQ(measure.live_blocks, 2);
    CHECK_EQ(measure.free_blocks, 2);
    CHECK_EQ(measure.live_bytes, stats.used);
    CHECK_EQ(measure.free_bytes, stats.free);
    CHECK_EQ(measure.gaps[0] + measure.gaps[1], stats.free);
    CHECK_EQ(measure.gaps[0] - HEADER, stats.largest);
    CHECK_EQ(measure.gaps[2], 0);
    double sum = (double)stats.free, large = (double)measure.gaps[0], small = sum - large;
    double exact = 1e6 * (1 - (large * large + small * small) / (sum * sum));
    CHECK((double)measure.fragmentation >= exact - 1 && (double)measure.fragmentation <= exact + 1);
    size_t live = 0, free_blocks = 0;
    for (size_t n = 0; n < MM_POWERS; n++) {
        live += measure.live_by_power[n];
        free_blocks += measure.free_by_power[n];
    }
    CHECK_EQ(live, 2);
    CHECK_EQ(free_blocks, 2);
    size_t power = 0;
    while (measure.gaps[0] >> (power + 1)) power++;
    CHECK_EQ(measure.free_by_power[power], 1);
}

TEST(dump, measure_of_a_fresh_heap_is_not_fragmented) {
    mm_measure_t measure;
    heap = heap_new(4096);
    CHECK(mm_measure(heap, &measure));
    CHECK_EQ(measure.fragmentation, 0);
    CHECK_EQ(measure.free_blocks, 1);
    heap = heap_bare();
    CHECK(mm_measure(heap, &measure));
    CHECK_EQ(measure.free_blocks, 0);
    CHECK_EQ(measure.fragmentation, 0);
}

TEST(dump, measure_keeps_the_eight_largest_gaps) {
    mm_measure_t measure;
    void *kept[40];
    heap = heap_new(heap_is_debug() ? 65536 : 32768);
    for (int i = 0; i < 40; i++) kept[i] = mm_malloc(heap, 100 + 16 * (size_t)(i * 7 % 40));
    for (int i = 0; i < 40; i += 2) mm_free(heap, kept[i]);
    heap_settle(heap);
    CHECK(mm_measure(heap, &measure));
    CHECK_EQ(measure.free_blocks, 21);
    for (int i = 1; i < MM_GAPS; i++) CHECK_GE(measure.gaps[i - 1], measure.gaps[i]);
    CHECK_GE(measure.gaps[7], 100 + 16 * 26);
}

TEST(dump, invalid_arguments_write_nothing) {
    mm_measure_t measure, before;
    begin();
    memset(&measure, 0x5A, sizeof measure);
    before = measure;
    CHECK_EQ(mm_measure(NULL, &measure), 0);
    CHECK_EQ(mm_measure(heap, NULL), 0);
    CHECK(memcmp(&measure, &before, sizeof measure) == 0);
    dumped = 0;
    CHECK_EQ(mm_dump(NULL, keep, dump, MM_DUMP_JSON), 0);
    CHECK_EQ(mm_dump(heap, NULL, dump, MM_DUMP_JSON), 0);
    CHECK_EQ(mm_dump(heap, keep, dump, 2), 0);
    CHECK_EQ(mm_dump(heap, keep, dump, -1), 0);
    CHECK_EQ(dumped, 0);
}

TEST(dump, json_says_what_a_walk_sees) {
    begin();
    mm_pool_t *second = mm_add_pool(heap, suite_memory(QUANTUM, 1024), 1024);
    CHECK(second != NULL);
    heap_state before = heap_freeze(heap);
    CHECK_EQ(dump_as(MM_DUMP_JSON), 1);
    HEAP_SAME(heap, &before, 0);
    CHECK(strncmp(dump, "{\"memoman_dump\":1,\"library\":\"", 29) == 0);
    CHECK(dump[dumped - 1] == '\n');
    CHECK_EQ(number(dump, "\"word\":"), sizeof(void *));
    CHECK_EQ(number(dump, "\"quantum\":"), QUANTUM);
    CHECK_EQ(count("\"first\":"), 2);
    CHECK_EQ(count("{\"pool\":"), before.walk.blocks);
    CHECK_EQ(count("\"state\":\"free\""), before.walk.free_blocks);
    CHECK_EQ(count("{\"bin\":"), 3);
    CHECK_EQ(count("{\"broken\":"), 0);
    CHECK_EQ(number(dump, "\"pool_bytes\":"), before.stats.pool_bytes);
    CHECK_EQ(number(dump, "\"largest\":"),
             heap_is_debug() ? number(dump, "\"largest\":") : before.stats.largest);
    CHECK_EQ(number(dump, "{\"end\":"), before.walk.blocks);
    CHECK_EQ(count("\n"), 5 + before.walk.blocks + 2);
    /* The sizes tile the pools. */
    size_t bytes = 0, overhead = before.stats.overhead;
    for (const char *at = dump; (at = strstr(at, "{\"pool\":")) != NULL; at++)
        bytes += number(at, "\"size\":");
    CHECK_EQ(bytes + overhead, before.stats.pool_bytes);
    char place[40];
    snprintf(place, sizeof place, "%s%llu,", heap_is_debug() ? "\"pointer\":" : "\"at\":",
             (unsigned long long)(uintptr_t)c);
    CHECK_EQ(count(place), 1);
}

TEST(dump, text_draws_every_block) {
    begin();
    heap_state before = heap_freeze(heap);
    CHECK_EQ(dump_as(MM_DUMP_TEXT), 1);
    CHECK_EQ(count("|"), before.walk.blocks);
    CHECK_EQ(count("pool 0 at 0x"), 1);
    CHECK_EQ(count("wilderness: 1 block, "), 1);
    CHECK_EQ(count("\nsound\n"), 1);
}

TEST(dump, the_writer_stops_it) {
    for (int format = MM_DUMP_TEXT; format <= MM_DUMP_JSON; format++) {
        begin();
        CHECK(dump_as(format));
        size_t all = pieces;
        CHECK_GE(all, 4);
        for (size_t n = 1; n <= all; n++) {
            dumped = pieces = 0;
            stop_after = n;
            CHECK_EQ(mm_dump(heap, keep, dump, format), 0);
            CHECK_EQ(pieces, n);
        }
    }
}

/* Every word of the pools and of the control structure, in turn overwritten: what validation
 * finds, the dump finds, and it ends. */
static void overwrite(size_t *from, size_t *to) {
    for (size_t *place = from; place < to; place++)
        for (int bits = 0; bits < 5; bits++) {
            size_t old = *place;
            suite_context("word %zu, %d", (size_t)(place - from), bits);
            *place = bits == 0   ? 0
                     : bits == 1 ? ~(size_t)0
                     : bits == 2 ? old ^ QUANTUM
                     : bits == 3 ? old ^ 1
                                 : (size_t)(uintptr_t)a;
            int sound = mm_validate(heap), whole = dump_as(MM_DUMP_JSON);
            mm_measure_t measure;
            (void)mm_measure(heap, &measure);
            CHECK(dumped > 0 && dump[dumped - 1] == '\n');
            CHECK_EQ(count("{\"end\":"), 1);
            CHECK_EQ(whole, count("{\"broken\":{") == 0);
            if (!sound && strstr(dump, "\"debug\":false")) CHECK(!whole || bits == 2);
            if (!whole) CHECK(!sound);
            (void)dump_as(MM_DUMP_TEXT);
            *place = old;
        }
    CHECK(mm_validate(heap));
}

TEST(dump, damage_in_a_pool_is_named) {
    begin();
    mm_pool_t *pool = mm_get_pool(heap);
    size_t words = heap_stats(heap).pool_bytes / sizeof(size_t);
    overwrite((size_t *)(void *)pool, (size_t *)(void *)pool + (words < 120 ? words : 120));
    overwrite((size_t *)(void *)pool + words - 4, (size_t *)(void *)pool + words);
}

TEST(dump, damage_in_the_control_structure_is_named) {
    begin();
    overwrite((size_t *)(void *)heap, (size_t *)(void *)heap + mm_size() / sizeof(size_t));
}

TEST(dump, damage_is_placed) {
    begin();
    /* The third block's place in the core: under the debug library, before the program's. */
    CHECK(dump_as(MM_DUMP_JSON));
    const char *line = dump;
    for (int i = 0; i < 3; i++) line = strstr(line + 1, "{\"pool\":");
    uintptr_t at = (uintptr_t)number(line, "\"at\":");
    CHECK(heap_is_debug() || at == (uintptr_t)c);
    c -= (uintptr_t)c - at;
    ((size_t *)(void *)c)[-1] = 0;
    CHECK_EQ(dump_as(MM_DUMP_JSON), 0);
    CHECK_EQ(count("{\"broken\":{\"invariant\":6,"), 1);
    CHECK_EQ(number(strstr(dump, "{\"broken\""), "\"at\":"), at);
    CHECK_EQ(number(dump, "{\"end\":"), 2);
    CHECK_EQ(number(strstr(dump, "{\"end\":"), "\"broken\":"), count("{\"broken\":{"));
    mm_measure_t measure;
    memset(&measure, 0x5A, sizeof measure);
    CHECK_EQ(mm_measure(heap, &measure), 0);
    CHECK_EQ(measure.live_blocks, (size_t)-1 / 255 * 0x5A);
}
