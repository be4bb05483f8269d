/* Misuse that the headers show is reported to the error handler with a fixed message and the
 * pointer; the call then has no effect. Without a handler: one line on stderr and abort. (Group I
 * of the corner cases, as far as one call can see it.) */
#include "support/heap.h"

#include <signal.h>
#include <sys/wait.h>

#define MISALIGNED "misaligned pointer"
#define FOREIGN "pointer outside every pool"
#define DOUBLE_FREE "double free"
#define NOT_A_BLOCK "not a live block (or its header is overwritten)"
#define NEXT_SMASHED "header of the next block overwritten"
#define PREV_SMASHED "header of the previous block overwritten"
#define LINK_SMASHED "free-list link overwritten"

typedef struct report {
    int calls;
    const char *message;
    const void *pointer;
} report;

static void on_misuse(const char *message, const void *pointer, void *user) {
    report *to = user;
    to->calls++;
    to->message = message;
    to->pointer = pointer;
}

static mm_allocator_t *heap;
static report seen;
static unsigned char *a, *b, *c, *d;

static mm_allocator_t *watched(void) {
    mm_allocator_t *allocator = heap_new(8192);
    mm_set_error_handler(allocator, on_misuse, &seen);
    return allocator;
}

static void begin(void) {
    suite_release();
    memset(&seen, 0, sizeof seen);
    heap = watched();
    a = mm_malloc(heap, 100);
    b = mm_malloc(heap, 200);
    c = mm_malloc(heap, 300);
    d = mm_malloc(heap, 400);
    CHECK(a && b && c && d);
    memset(a, 0, 100);
    memset(b, 0, 200);
    memset(c, 0, 300);
    memset(d, 0, 400);
}

/* The last call was reported once, with this message and pointer. */
#define REPORTED(text, p)                                                                          \
    do {                                                                                           \
        CHECK_EQ(seen.calls, 1);                                                                   \
        CHECK_TEXT(seen.message, text);                                                            \
        CHECK_PTR(seen.pointer, p);                                                                \
        memset(&seen, 0, sizeof seen);                                                             \
    } while (0)

/* Every call that takes a live block refuses p with `text`, and the heap stays as it is. */
static void all_calls_refuse(void *p, const char *text) {
    heap_state before = heap_freeze(heap);
    suite_context("%s", text);
    mm_free(heap, p);
    REPORTED(text, p);
    HEAP_SAME(heap, &before, 0);
    CHECK_NULL(mm_realloc(heap, p, 50));
    REPORTED(text, p);
    CHECK_NULL(mm_realloc(heap, p, 5000));
    REPORTED(text, p);
    CHECK_NULL(mm_realloc(heap, p, 0));
    REPORTED(text, p);
    CHECK_NULL(mm_realloc_aligned(heap, p, 64, 5000));
    REPORTED(text, p);
    CHECK_NULL(mm_realloc_aligned(heap, p, 64, 0));
    REPORTED(text, p);
    HEAP_SAME(heap, &before, 0);
    HEAP_SOUND(heap);
}

TEST(misuse, double_free_at_once) {
    begin();
    mm_free(heap, b);
    CHECK_EQ(seen.calls, 0);
    all_calls_refuse(b, DOUBLE_FREE);
}

TEST(misuse, double_free_of_the_only_block) {
    begin();
    CHECK_EQ(mm_reset(heap), 1);
    a = mm_malloc(heap, 100);
    mm_free(heap, a);
    all_calls_refuse(a, DOUBLE_FREE);
}

TEST(misuse, double_free_after_a_merge_to_the_right) {
    begin();
    mm_free(heap, c);
    mm_free(heap, b);
    all_calls_refuse(b, DOUBLE_FREE);
}

TEST(misuse, double_free_after_a_merge_to_the_left) {
    begin();
    mm_free(heap, a);
    mm_free(heap, b);
    all_calls_refuse(b, DOUBLE_FREE);
}

TEST(misuse, double_free_of_a_block_that_was_absorbed_from_the_left) {
    begin();
    mm_free(heap, b);
    mm_free(heap, a);
    all_calls_refuse(b, DOUBLE_FREE);
}

TEST(misuse, double_free_after_a_merge_of_both_sides) {
    begin();
    mm_free(heap, a);
    mm_free(heap, c);
    mm_free(heap, b);
    all_calls_refuse(a, DOUBLE_FREE);
    all_calls_refuse(b, DOUBLE_FREE);
    all_calls_refuse(c, DOUBLE_FREE);
}

TEST(misuse, free_after_realloc_moved_the_block) {
    begin();
    unsigned char *moved = mm_realloc(heap, b, 1000);
    CHECK(moved && moved != b);
    all_calls_refuse(b, DOUBLE_FREE);
}

TEST(misuse, free_after_realloc_grew_backward) {
    begin();
    mm_free(heap, a);
    CHECK_PTR(mm_realloc(heap, b, 280), a);
    memset(a, 0, mm_block_size(a));
    heap_state before = heap_freeze(heap);
    mm_free(heap, b);
    CHECK_EQ(seen.calls, 1);
    CHECK_PTR(seen.pointer, b);
    HEAP_SAME(heap, &before, 0);
}

TEST(misuse, misaligned_pointers) {
    begin();
    for (size_t offset = 1; offset < QUANTUM; offset++) all_calls_refuse(b + offset, MISALIGNED);
}

TEST(misuse, foreign_pointers) {
    static unsigned char fixed[256];
    unsigned char local[256];
    void *aligned_local = local + (QUANTUM - misalignment(local, QUANTUM)) + 64;
    void *aligned_fixed = fixed + (QUANTUM - misalignment(fixed, QUANTUM)) + 64;
    begin();
    memset(local, 0, sizeof local);
    all_calls_refuse(aligned_local, FOREIGN);
    all_calls_refuse(aligned_fixed, FOREIGN);
    all_calls_refuse((void *)(uintptr_t)(QUANTUM * 100), FOREIGN);
    all_calls_refuse((void *)(UINTPTR_MAX / QUANTUM * QUANTUM), FOREIGN);
    all_calls_refuse(heap, FOREIGN);
    /* Another allocator's block. */
    mm_allocator_t *other = watched();
    void *p = mm_malloc(other, 100);
    heap_state others = heap_freeze(other);
    all_calls_refuse(p, FOREIGN);
    HEAP_SAME(other, &others, 0);
}

/* A block of an allocator whose pool lies between two pools of this one: inside the bounds, so that
 * only the header shows it. */
TEST_64(misuse, another_allocators_block_between_two_pools) {
    unsigned char *memory = suite_memory(QUANTUM, 3 * 1024);
    mm_allocator_t *other = heap_over(memory + 1024, 1024);
    heap = heap_over(memory, 1024);
    CHECK(mm_add_pool(heap, memory + 2048, 1024) != NULL);
    mm_set_error_handler(heap, on_misuse, &seen);
    memset(&seen, 0, sizeof seen);
    void *p = mm_malloc(other, 100);
    all_calls_refuse(p, NOT_A_BLOCK);
    mm_free(other, p);
    HEAP_SOUND(other);
}

TEST(misuse, interior_pointers) {
    begin();
    for (int value = 0; value < 256; value += 51) {
        memset(d, value, 400);
        for (size_t offset = QUANTUM; offset < 400; offset += QUANTUM) {
            heap_state before = heap_freeze(heap);
            suite_context("value %d, offset %zu", value, offset);
            mm_free(heap, d + offset);
            CHECK_EQ(seen.calls, 1);
            CHECK_PTR(seen.pointer, d + offset);
            CHECK_NULL(mm_realloc(heap, d + offset, 600));
            CHECK_EQ(seen.calls, 2);
            memset(&seen, 0, sizeof seen);
            HEAP_SAME(heap, &before, 0);
        }
    }
}

/* mm_block_size has no allocator to report to: it gives 0 where the word before the pointer is no
 * header of a live block. */
TEST(misuse, block_size_of_what_is_no_block) {
    begin();
    static size_t fixed[8];
    CHECK_GE(mm_block_size(b), 200);
    mm_free(heap, b);
    CHECK_EQ(mm_block_size(b), 0);
    CHECK_EQ(mm_block_size(d + QUANTUM), 0);
    memset(d, 0x70, 400);
    if (IS_64_BIT) CHECK_EQ(mm_block_size(d + QUANTUM), 0);
    for (size_t offset = 1; offset < QUANTUM; offset++) CHECK_EQ(mm_block_size(d + offset), 0);
    CHECK_EQ(mm_block_size((unsigned char *)fixed + QUANTUM - misalignment(fixed, QUANTUM)), 0);
    CHECK_EQ(seen.calls, 0);
}

/* An overwritten head of the top bin has no known size: `largest` must not be taken from it. */
TEST(misuse, largest_of_an_overwritten_head) {
    begin();
    unsigned char *tail = d + mm_block_size(d) + HEADER;
    unsigned char kept[8];
    size_t largest = heap_stats(heap).largest;
    memcpy(kept, tail - HEADER, HEADER);
    CHECK_GE(largest, 1000);
    memset(tail - HEADER, 0, HEADER);
    CHECK_EQ(heap_stats(heap).largest, 0);
    memcpy(tail - HEADER, kept, HEADER);
    CHECK_EQ(heap_stats(heap).largest, largest);
}

TEST(misuse, interior_pointers_with_zeros) {
    begin();
    all_calls_refuse(d + QUANTUM, NOT_A_BLOCK);
    all_calls_refuse(d + 64, NOT_A_BLOCK);
}

TEST(misuse, the_end_of_a_pool_is_no_block) {
    begin();
    unsigned char *end = (unsigned char *)mm_get_pool(heap) + heap_stats(heap).pool_bytes;
    heap_state before = heap_freeze(heap);
    mm_free(heap, end);
    CHECK_EQ(seen.calls, 1);
    CHECK_PTR(seen.pointer, end);
    HEAP_SAME(heap, &before, 0);
}

/* Overwrites `bytes` bytes at `place`, checks that freeing p reports `text`, restores the bytes. */
static void smashed(unsigned char *place, size_t bytes, int value, unsigned char *p,
                    const char *text) {
    unsigned char kept[64];
    heap_state before = heap_freeze(heap);
    suite_context("%s: %zu bytes of %d", text, bytes, value);
    memcpy(kept, place, bytes);
    memset(place, value, bytes);
    mm_free(heap, p);
    CHECK_EQ(seen.calls, 1);
    CHECK_TEXT(seen.message, text);
    memset(&seen, 0, sizeof seen);
    CHECK_NULL(mm_realloc(heap, p, 0));
    CHECK_EQ(seen.calls, 1);
    CHECK_TEXT(seen.message, text);
    memset(&seen, 0, sizeof seen);
    memcpy(place, kept, bytes);
    HEAP_SAME(heap, &before, 0);
}

TEST(misuse, own_header_overwritten) {
    begin();
    smashed(b - HEADER, HEADER, 0, b, NOT_A_BLOCK);
    if (IS_64_BIT) {
        smashed(b - HEADER, HEADER, 0xF8, b, NOT_A_BLOCK);
        smashed(b - HEADER, HEADER, 'A' & 0xF8, b, NOT_A_BLOCK);
    }
    mm_free(heap, b);
    CHECK_EQ(seen.calls, 0);
    HEAP_SOUND(heap);
}

TEST(misuse, next_header_overwritten_by_an_overflow) {
    begin();
    unsigned char *next = b + mm_block_size(b); /* its header */
    smashed(next, HEADER, 0xFF, b, NEXT_SMASHED);
    smashed(next, HEADER, 0, b, NEXT_SMASHED);
    smashed(next, HEADER, 'A', b, NEXT_SMASHED);
    mm_free(heap, b);
    CHECK_EQ(seen.calls, 0);
    HEAP_SOUND(heap);
}

TEST(misuse, previous_header_or_ghost_overwritten) {
    begin();
    mm_free(heap, a);
    smashed(a - HEADER, HEADER, 0, b, PREV_SMASHED);
    smashed(a - HEADER, HEADER, 0xFF, b, PREV_SMASHED);
    /* prev_phys: the word in front of b's header. */
    smashed(b - HEADER - sizeof(void *), sizeof(void *), 0, b, PREV_SMASHED);
    smashed(b - HEADER - sizeof(void *), sizeof(void *), 0xFF, b, PREV_SMASHED);
    mm_free(heap, b);
    CHECK_EQ(seen.calls, 0);
    HEAP_SOUND(heap);
}

TEST(misuse, links_overwritten_after_free) {
    static const int values[] = {0x11, 0x55, 0xF0, 0xFF};
    begin();
    mm_free(heap, b);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        unsigned char kept[2 * sizeof(void *)];
        heap_state before = heap_freeze(heap);
        suite_context("value %d", values[i]);
        memcpy(kept, b, sizeof kept);
        memset(b, values[i], sizeof kept);
        CHECK_NULL(mm_malloc(heap, 200));
        CHECK_EQ(seen.calls, 1);
        CHECK_TEXT(seen.message, LINK_SMASHED);
        memset(&seen, 0, sizeof seen);
        memcpy(b, kept, sizeof kept);
        HEAP_SAME(heap, &before, 0);
    }
    CHECK_PTR(mm_malloc(heap, 200), b);
    HEAP_SOUND(heap);
}

TEST(misuse, each_allocator_has_its_own_handler) {
    static report first, second;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    mm_allocator_t *one = heap_new(1000), *two = heap_new(1000);
    mm_set_error_handler(one, on_misuse, &first);
    mm_set_error_handler(two, on_misuse, &second);
    void *p = mm_malloc(one, 100), *q = mm_malloc(two, 100);
    mm_free(one, p);
    mm_free(one, p);
    CHECK_EQ(first.calls, 1);
    CHECK_EQ(second.calls, 0);
    mm_free(two, q);
    mm_free(two, q);
    mm_free(two, q);
    CHECK_EQ(first.calls, 1);
    CHECK_EQ(second.calls, 2);
    /* Another handler replaces the first, with a user pointer of its own. */
    mm_set_error_handler(one, on_misuse, &second);
    mm_free(one, p);
    CHECK_EQ(first.calls, 1);
    CHECK_EQ(second.calls, 3);
    HEAP_SOUND(one);
    HEAP_SOUND(two);
}

typedef struct death {
    void *pointer;
    int with_handler_first, use_realloc;
} death;

static void dies(void *argument) {
    death *how = argument;
    if (how->with_handler_first) {
        mm_set_error_handler(heap, on_misuse, &seen);
        mm_set_error_handler(heap, NULL, NULL);
    }
    if (how->use_realloc)
        (void)mm_realloc(heap, how->pointer, 10);
    else
        mm_free(heap, how->pointer);
}

static void aborts_with(death how, const char *message) {
    char text[512], expected[256];
    int status = suite_in_child(dies, &how, text, sizeof text);
    suite_context("%s; stderr: %s", message, text);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGABRT);
    snprintf(expected, sizeof expected, "memoman: %s: 0x%llx\n", message,
             (unsigned long long)(uintptr_t)how.pointer);
    CHECK_TEXT(text, expected);
}

TEST(misuse, the_default_handler_prints_one_line_and_aborts) {
    begin();
    mm_set_error_handler(heap, NULL, NULL);
    mm_free(heap, b);
    aborts_with((death){b, 0, 0}, DOUBLE_FREE);
    aborts_with((death){b, 0, 1}, DOUBLE_FREE);
    aborts_with((death){b, 1, 0}, DOUBLE_FREE);
    aborts_with((death){c + 1, 0, 0}, MISALIGNED);
    aborts_with((death){heap, 0, 0}, FOREIGN);
    aborts_with((death){d + QUANTUM, 0, 0}, NOT_A_BLOCK);
    HEAP_SOUND(heap);
}
