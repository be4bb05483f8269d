/* Inspection: walk, validate, check, stepwise validation between operations, diagnose, the pool of
 * a pointer. All of them survive any overwritten word. (Group I of the corner cases.) */
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
}

struct seen {
    int calls;
    void *blocks[16];
    size_t sizes[16];
    int used[16];
};

static void see(void *block, size_t size, int used, void *user) {
    struct seen *seen = user;
    if (seen->calls < 16) {
        seen->blocks[seen->calls] = block;
        seen->sizes[seen->calls] = size;
        seen->used[seen->calls] = used;
    }
    seen->calls++;
}

TEST(inspect, walk_gives_payload_size_and_state_in_order) {
    struct seen seen;
    begin();
    mm_free(heap, b);
    memset(&seen, 0, sizeof seen);
    mm_walk_pool(mm_get_pool(heap), see, &seen);
    CHECK_EQ(seen.calls, 4);
    CHECK_PTR(seen.blocks[0], a);
    CHECK_PTR(seen.blocks[1], b);
    CHECK_PTR(seen.blocks[2], c);
    CHECK_EQ(seen.sizes[0], mm_block_size(a));
    CHECK_EQ(seen.sizes[1], usable_for(200));
    CHECK_EQ(seen.sizes[2], mm_block_size(c));
    CHECK_EQ(seen.sizes[3], heap_stats(heap).largest);
    CHECK(seen.used[0] && !seen.used[1] && seen.used[2] && !seen.used[3]);
}

TEST(inspect, walk_of_a_pool_sees_that_pool_only) {
    struct seen seen;
    begin();
    mm_pool_t *pool = mm_add_pool(heap, suite_memory(QUANTUM, 1024), 1024);
    memset(&seen, 0, sizeof seen);
    mm_walk_pool(pool, see, &seen);
    CHECK_EQ(seen.calls, 1);
    CHECK_EQ(seen.sizes[0], 1024 - mm_pool_overhead());
    CHECK(!seen.used[0]);
}

/* Found by the fuzzer: the walk followed an overwritten pool header. */
TEST(inspect, walk_of_a_pool_with_an_overwritten_header_follows_nothing) {
    begin();
    mm_pool_t *pool = mm_get_pool(heap);
    for (size_t word = 0; word < 5; word++)
        for (int bits = 0; bits < 4; bits++) {
            size_t *place = (size_t *)(void *)pool + word, old = *place;
            struct seen seen = {0};
            suite_context("word %zu, %d", word, bits);
            *place = bits == 0 ? 0 : bits == 1 ? 16 : bits == 2 ? ~(size_t)0 : old ^ QUANTUM;
            if (*place != old) {
                mm_walk_pool(pool, see, &seen);
                CHECK_EQ(seen.calls, 0);
            }
            *place = old;
        }
    CHECK(mm_validate(heap));
}

TEST(inspect, pools_are_listed_once_each) {
    begin();
    mm_pool_t *pools[5] = {mm_get_pool(heap)};
    for (int i = 1; i < 5; i++) pools[i] = mm_add_pool(heap, suite_memory(QUANTUM, 512), 512);
    int found[5] = {0}, count = 0;
    for (mm_pool_t *pool = mm_get_pool(heap); pool; pool = mm_next_pool(heap, pool), count++)
        for (int i = 0; i < 5; i++) found[i] += pools[i] == pool;
    CHECK_EQ(count, 5);
    for (int i = 0; i < 5; i++) CHECK_EQ(found[i], 1);
}

TEST(inspect, pool_for_ptr) {
    begin();
    unsigned char *memory = suite_memory(QUANTUM, 3 * 1024);
    mm_pool_t *first = mm_get_pool(heap), *low = mm_add_pool(heap, memory, 1024),
              *high = mm_add_pool(heap, memory + 2048, 1024);
    CHECK_PTR(mm_get_pool_for_ptr(heap, a), first);
    CHECK_PTR(mm_get_pool_for_ptr(heap, c + 299), first);
    CHECK_PTR(mm_get_pool_for_ptr(heap, memory + 100), low);
    CHECK_PTR(mm_get_pool_for_ptr(heap, memory + 1023), low);
    CHECK_NULL(mm_get_pool_for_ptr(heap, memory + 1024));
    CHECK_NULL(mm_get_pool_for_ptr(heap, memory + 2047));
    CHECK_PTR(mm_get_pool_for_ptr(heap, memory + 2048 + 100), high);
    CHECK_NULL(mm_get_pool_for_ptr(heap, memory + 3072));
    CHECK_NULL(mm_get_pool_for_ptr(heap, heap));
    CHECK_NULL(mm_get_pool_for_ptr(heap, &memory));
    CHECK_NULL(mm_get_pool_for_ptr(heap, (void *)1));
    CHECK_NULL(mm_get_pool_for_ptr(heap, (void *)UINTPTR_MAX));
}

TEST(inspect, block_size_of_live_blocks) {
    begin();
    for (size_t n = 1; n < 1000; n++) {
        void *p = mm_malloc(heap, n);
        CHECK_GE(mm_block_size(p), n);
        CHECK_LE(mm_block_size(p), usable_limit(n));
        mm_free(heap, p);
    }
    CHECK_EQ(mm_block_size(NULL), 0);
}

TEST(inspect, version_names_three_numbers) {
    int major = -1, minor = -1, patch = -1;
    CHECK(mm_version() != NULL);
    CHECK_EQ(sscanf(mm_version(), "%d.%d.%d", &major, &minor, &patch), 3);
    CHECK_PTR(mm_version(), mm_version());
}

/* Every check calls the heap sound. */
static void sound(void) {
    mm_violation_t violation;
    CHECK(mm_validate(heap));
    CHECK_EQ(mm_check(heap), 0);
    CHECK_EQ(mm_diagnose(heap, &violation), 0);
    for (mm_pool_t *pool = mm_get_pool(heap); pool; pool = mm_next_pool(heap, pool)) {
        CHECK(mm_validate_pool(pool));
        CHECK_EQ(mm_check_pool(pool), 0);
    }
}

TEST(inspect, a_sound_heap_is_sound_by_every_name) {
    begin();
    sound();
    mm_free(heap, b);
    sound();
    mm_add_pool(heap, suite_memory(QUANTUM, 512), 512);
    sound();
    mm_reset(heap);
    sound();
}

/* Overwrites one word, checks which invariant is named, restores the word. */
static void broken(unsigned char *place, uintptr_t value, int invariant) {
    uintptr_t kept;
    mm_violation_t violation;
    memcpy(&kept, place, sizeof kept);
    memcpy(place, &value, sizeof value);
    memset(&violation, 0, sizeof violation);
    suite_context("invariant %d, value %zx", invariant, (size_t)value);
    int number = mm_diagnose(heap, &violation), checked = mm_check(heap), valid = mm_validate(heap);
    int in_pool = mm_validate_pool(mm_get_pool(heap)),
        check_pool = mm_check_pool(mm_get_pool(heap));
    mm_cursor_t cursor;
    memset(&cursor, 0, sizeof cursor);
    int step = mm_validate_step(heap, &cursor, 1000);
    memcpy(place, &kept, sizeof kept);
    CHECK_EQ(number, invariant);
    CHECK_EQ(violation.invariant, invariant);
    CHECK(violation.name && strlen(violation.name) > 4);
    CHECK(violation.address != NULL);
    CHECK_PTR(violation.pool, mm_get_pool(heap));
    CHECK_EQ(checked, -invariant);
    CHECK_EQ(valid, 0);
    CHECK_EQ(in_pool, 0);
    CHECK_EQ(check_pool, -invariant);
    CHECK_EQ(step, 0);
    sound();
}

TEST(inspect, diagnose_names_a_smashed_header) {
    begin();
    broken(b - HEADER, 0, 6);
    broken(b - HEADER, UINTPTR_MAX, 6);
    broken(c + mm_block_size(c), 0, 6);
}

TEST(inspect, diagnose_names_a_smashed_link) {
    begin();
    mm_free(heap, b);
    broken(b, 0x11, 2);
    broken(b, (uintptr_t)c, 2);
    broken(b, (uintptr_t)b, 2);
    broken(b + sizeof(void *), (uintptr_t)&heap, 2);
    broken(b + sizeof(void *), 0, 2);
}

TEST(inspect, diagnose_names_a_smashed_prev_phys) {
    begin();
    mm_free(heap, b);
    broken(c - HEADER - sizeof(void *), 0, 5);
    broken(c - HEADER - sizeof(void *), (uintptr_t)a, 5);
    broken(c - HEADER - sizeof(void *), UINTPTR_MAX, 5);
}

TEST(inspect, steps_cover_the_heap_with_any_stride) {
    begin();
    for (int i = 0; i < 4; i++) mm_add_pool(heap, suite_memory(QUANTUM, 512), 512);
    for (int i = 0; i < 20; i++) mm_malloc(heap, 40);
    mm_free(heap, b);
    size_t blocks = heap_walked(heap, 0).blocks;
    for (size_t stride = 1; stride < blocks + 3; stride++) {
        mm_cursor_t cursor;
        size_t steps = 0;
        int result;
        memset(&cursor, 0, sizeof cursor);
        suite_context("stride %zu", stride);
        while ((result = mm_validate_step(heap, &cursor, stride)) == 2)
            CHECK_LE(++steps, blocks + 8);
        CHECK_EQ(result, 1);
        /* A finished cursor starts over. */
        while ((result = mm_validate_step(heap, &cursor, stride)) == 2) continue;
        CHECK_EQ(result, 1);
    }
    mm_cursor_t cursor;
    memset(&cursor, 0, sizeof cursor);
    CHECK(mm_validate_step(heap, &cursor, 0) != 0);
    CHECK_EQ(mm_validate_step(heap, &cursor, SIZE_MAX), 1);
}

TEST(inspect, steps_between_operations_stay_sound_and_end) {
    enum { BLOCKS = 80 };
    suite_random random = suite_seeded(21);
    void *blocks[BLOCKS] = {0};
    heap = heap_new(30000);
    unsigned char *second = suite_memory(QUANTUM, 4096);
    int has_second = 0;
    size_t rounds = 0;
    mm_cursor_t cursor;
    memset(&cursor, 0, sizeof cursor);
    for (size_t turn = 0; turn < 30000; turn++) {
        size_t i = suite_below(&random, BLOCKS), n = suite_below(&random, 700) + 1;
        suite_context("turn %zu", turn);
        if (turn % 97 == 0) {
            if (has_second)
                has_second = !mm_remove_pool(heap, second);
            else
                has_second = mm_add_pool(heap, second, 4096) != NULL;
        } else if (!blocks[i]) {
            blocks[i] = mm_malloc(heap, n);
        } else if (turn % 3) {
            mm_free(heap, blocks[i]);
            blocks[i] = NULL;
        } else {
            void *p = mm_realloc(heap, blocks[i], n);
            if (p) blocks[i] = p;
        }
        int result = mm_validate_step(heap, &cursor, 8);
        CHECK_NE(result, 0);
        rounds += result == 1;
    }
    CHECK_GE(rounds, 100);
    HEAP_SOUND(heap);
}

TEST(inspect, steps_find_what_is_smashed) {
    begin();
    for (int i = 0; i < 30; i++) mm_malloc(heap, 40);
    uintptr_t kept, bad = UINTPTR_MAX;
    memcpy(&kept, c - HEADER, sizeof kept);
    memcpy(c - HEADER, &bad, sizeof bad);
    mm_cursor_t cursor;
    int result;
    size_t steps = 0;
    memset(&cursor, 0, sizeof cursor);
    while ((result = mm_validate_step(heap, &cursor, 1)) == 2) CHECK_LE(++steps, 100);
    memcpy(c - HEADER, &kept, sizeof kept);
    CHECK_EQ(result, 0);
    sound();
}

/* Every inspecting call on a heap with one word overwritten: any answer, and no crash or hang. */
static int look(void) {
    mm_violation_t violation;
    mm_cursor_t cursor;
    int sound_by_all = mm_validate(heap) != 0, result;
    memset(&cursor, 0, sizeof cursor);
    CHECK_EQ(mm_check(heap) == 0, sound_by_all);
    CHECK_EQ(mm_diagnose(heap, &violation) == 0, sound_by_all);
    for (size_t steps = 0; (result = mm_validate_step(heap, &cursor, 3)) == 2; steps++)
        CHECK_LE(steps, 1000);
    return sound_by_all;
}

/* Tries values in each word of a region. Gives the number of changes that no check found. */
static size_t overwrite(unsigned char *region, size_t bytes) {
    uintptr_t values[] = {
        0, 1, UINTPTR_MAX, UINTPTR_MAX / 2, 0x4141414141414141u & UINTPTR_MAX,
        (uintptr_t)heap, (uintptr_t)a, (uintptr_t)b, (uintptr_t)c,
        (uintptr_t)mm_get_pool(heap), (uintptr_t)values, 0, 0, 0,
    };
    enum { VALUES = sizeof values / sizeof *values };
    size_t unnoticed = 0;
    for (size_t at = 0; at + sizeof(uintptr_t) <= bytes; at += sizeof(uintptr_t)) {
        uintptr_t kept;
        memcpy(&kept, region + at, sizeof kept);
        values[VALUES - 3] = (uintptr_t)(region + at);
        values[VALUES - 2] = kept ^ 1;
        values[VALUES - 1] = kept + QUANTUM;
        for (size_t i = 0; i < VALUES; i++) {
            suite_context("word %zu of the region, value %zx", at / sizeof(uintptr_t),
                          (size_t)values[i]);
            memcpy(region + at, &values[i], sizeof kept);
            unnoticed += look() && values[i] != kept;
        }
        memcpy(region + at, &kept, sizeof kept);
    }
    sound();
    return unnoticed;
}

TEST(I, no_overwritten_word_of_the_pool_harms_validation) {
    begin();
    memset(a, 0, mm_block_size(a));
    memset(c, 0, mm_block_size(c));
    mm_free(heap, b);
    mm_add_pool(heap, suite_memory(QUANTUM, 256), 256);
    unsigned char *pool = a - (mm_pool_overhead() - HEADER);
    size_t bytes = region_for(4096);
    overwrite(pool, bytes);
    /* Each change of a word that the allocator owns is found. */
    CHECK_EQ(overwrite(pool, mm_pool_overhead() - HEADER), 0);
    CHECK_EQ(overwrite(b - HEADER, HEADER + 2 * sizeof(void *)), 0);
    CHECK_EQ(overwrite(c - HEADER - sizeof(void *), HEADER + sizeof(void *)), 0);
    CHECK_EQ(overwrite(pool + bytes - HEADER - sizeof(void *), HEADER + sizeof(void *)), 0);
}

TEST(I, no_overwritten_word_of_the_control_structure_harms_validation) {
    begin();
    mm_free(heap, b);
    size_t unnoticed = overwrite((unsigned char *)heap, mm_size());
    /* No invariant covers the failure counter, the peak, the word that takes unneeded writes, the
     * six of observers (none is set) and the one that rounds the structure up to a quantum. */
    CHECK_LE(unnoticed, 10 * 14);
}

TEST(I, no_random_damage_harms_validation) {
    suite_random random = suite_seeded(33);
    size_t bytes = mm_size() + 4096;
    unsigned char *memory = suite_memory(QUANTUM, bytes), *kept = suite_memory(QUANTUM, bytes);
    heap = mm_create_for_with_pool(memory, bytes, mm_block_size_max());
    a = mm_malloc(heap, 100);
    b = mm_malloc(heap, 200);
    c = mm_malloc(heap, 300);
    for (int i = 0; i < 20; i++) mm_malloc(heap, 1 + suite_below(&random, 60));
    mm_free(heap, b);
    memcpy(kept, memory, bytes);
    for (size_t turn = 0; turn < 20000; turn++) {
        size_t count = suite_below(&random, 8) + 1;
        suite_context("turn %zu", turn);
        for (size_t i = 0; i < count; i++) {
            size_t at = suite_below(&random, bytes), length = suite_below(&random, 40) + 1;
            if (turn % 2) at = mm_size() + suite_below(&random, bytes - mm_size());
            if (length > bytes - at) length = bytes - at;
            for (size_t k = 0; k < length; k++) memory[at + k] = (unsigned char)suite_next(&random);
        }
        look();
        memcpy(memory, kept, bytes);
    }
    sound();
}
