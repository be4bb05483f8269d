/* Records of 16 bytes (memoman/record.h): every event, in the documented format, and a stream that
 * begins late has the whole heap. */
#include "support/heap.h"

#include "memoman/record.h"

static mm_allocator_t *heap;
static mm_recorder_t recorder;
static unsigned char stream[1 << 20];
static size_t streamed;

static void take(const void *record, size_t bytes, void *user) {
    CHECK_PTR(user, stream);
    CHECK_EQ(bytes, MM_RECORD_BYTES);
    CHECK(streamed + bytes <= sizeof stream);
    memcpy(stream + streamed, record, bytes);
    streamed += bytes;
}

static uint32_t now;
static uint32_t clock_of(void *user) {
    CHECK_PTR(user, stream);
    return now += 3;
}

static void begin(void) {
    suite_release();
    streamed = 0;
    memset(&recorder, 0, sizeof recorder);
    recorder.write = take;
    recorder.user = stream;
    heap = heap_new(heap_is_debug() ? 32768 : 16384);
}

static uint32_t word(const unsigned char *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static const unsigned char *record(size_t index) {
    CHECK(16 * (index + 1) <= streamed);
    return stream + 16 * index;
}

static uint32_t pointer(const void *ptr) {
    return (uint32_t)((uintptr_t)ptr >> (IS_64_BIT ? 4 : 0));
}

static void is(size_t index, int kind, int align, const void *ptr, size_t bytes) {
    const unsigned char *at = record(index);
    suite_context("record %zu", index);
    CHECK_EQ(at[0], kind);
    CHECK_EQ(at[1], align);
    CHECK_EQ(at[2], recorder.heap);
    CHECK_EQ(at[3], index % 256);
    CHECK_EQ(word(at + 4), pointer(ptr));
    CHECK_EQ(word(at + 8), bytes);
}

TEST(record, events_are_records) {
    begin();
    recorder.heap = 7;
    recorder.ticks = clock_of;
    recorder.ticks_per_second = 1000;
    now = 0xFFFFFFFE;
    CHECK(mm_record_start(&recorder, heap));
    const unsigned char *header = record(0);
    CHECK_EQ(header[0], 255);
    CHECK_EQ(header[1], 1);
    CHECK_EQ(header[2], 7);
    CHECK_EQ(header[3], 0);
    CHECK(memcmp(header + 4, "MMR1", 4) == 0);
    CHECK_EQ(word(header + 8), 1000);
    CHECK_EQ(header[12], sizeof(void *));
    CHECK_EQ(header[13], IS_64_BIT ? 4 : 0);
    is(1, MM_EVENT_POOL_ADDED, 0, mm_get_pool(heap), heap_stats(heap).pool_bytes);
    CHECK_EQ(word(record(1) + 12), 1);
    void *p = mm_malloc(heap, 100), *q = mm_memalign(heap, 256, 50);
    is(2, MM_EVENT_MALLOC, 0, p, 100);
    is(3, MM_EVENT_MEMALIGN, 8, q, 50);
    void *r = mm_realloc(heap, p, 900);
    is(4, MM_RECORD_BEFORE, 0, p, mm_block_size(r));
    is(5, MM_EVENT_REALLOC, 0, r, 900);
    CHECK_NULL(mm_realloc(heap, r, 1 << 20));
    is(6, MM_RECORD_BEFORE, 0, r, 0);
    is(7, MM_EVENT_FAILED, 0, NULL, 1 << 20);
    size_t usable = mm_block_size(q);
    mm_free(heap, q);
    is(8, MM_EVENT_FREE, 0, q, usable);
    CHECK(mm_reset(heap));
    is(9, MM_EVENT_RESET, 0, NULL, 0);
    CHECK_EQ(streamed, 10 * 16);
    CHECK_EQ(word(record(9) + 12), 25);
}

TEST(record, a_late_start_sends_the_blocks_in_use) {
    begin();
    void *p = mm_malloc(heap, 100), *q = mm_malloc(heap, 200), *r = mm_malloc(heap, 300);
    mm_free(heap, q);
    heap_settle(heap);
    CHECK(mm_record_start(&recorder, heap));
    is(2, MM_EVENT_MALLOC, 0, p, mm_block_size(p));
    is(3, MM_EVENT_MALLOC, 0, r, mm_block_size(r));
    CHECK_EQ(streamed, 4 * 16);
}

TEST(record, the_header_comes_again_every_256_records) {
    begin();
    CHECK(mm_record_start(&recorder, heap));
    for (int i = 0; i < 1000; i++) mm_free(heap, mm_malloc(heap, 10));
    size_t headers = 0, records = streamed / 16;
    for (size_t i = 0; i < records; i++) {
        CHECK_EQ(record(i)[3], i % 256);
        if (record(i)[0] == MM_RECORD_HEADER) {
            CHECK_EQ(i % 256, 0);
            headers++;
        }
    }
    CHECK_EQ(headers, (records + 255) / 256);
    CHECK_EQ(records, 2001 + headers);
}
