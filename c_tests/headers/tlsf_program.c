/*
 * A program for tlsf.h 3.1: nothing here knows of memoman. Valid in C89, C99, C11, C17 and C++.
 *
 *     tlsf_program VARIANT        prints "ok install tlsf:VARIANT:test" or "FAIL install ..." for
 *                                 each test
 *     tlsf_program --remove-used  removes a pool with a block in use: an assertion fails, unless
 *                                 NDEBUG
 */
#include "tlsf_api.h"

#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C"
#endif
size_t size_in_other_unit(void);

#define REGION 65536
/* Aligned for any of the tests. */
static union {
    double alignment;
    void *pointer;
    char bytes[4 * REGION];
} memory;

static int failures; /* of the running test */
#define EXPECT(condition)                                                                          \
    ((condition)                                                                                   \
         ? (void)0                                                                                 \
         : (void)(failures++, fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition)))

static char *region(int number) {
    size_t to_64 = (64 - (size_t)memory.bytes % 64) % 64;
    return memory.bytes + number * REGION + to_64;
}

/* The last test's heap, destroyed after it: AddressSanitizer then allows its memory to be used
 * again. */
static tlsf_t current;

static tlsf_t use(tlsf_t tlsf) {
    current = tlsf;
    return tlsf;
}

static tlsf_t fresh(void) {
    return use(create_with_pool(region(0), REGION - 64));
}

static int aligned(const void *pointer, size_t align) {
    return (size_t)pointer % align == 0;
}

typedef struct walked_t {
    int used, unused;
    size_t bytes;
    const void *last;
    int ascending;
} walked_t;

static void count(void *ptr, size_t size, int used, void *user) {
    walked_t *walked = (walked_t *)user;
    if (used) walked->used++;
    else walked->unused++;
    walked->bytes += size;
    if (walked->last != NULL && (const char *)walked->last >= (const char *)ptr)
        walked->ascending = 0;
    walked->last = ptr;
}

static walked_t walk(pool_t pool) {
    walked_t walked = {0, 0, 0, NULL, 1};
    walk_pool(pool, count, &walked);
    return walked;
}

static void constants_are_plausible(void) {
    size_t align = tlsf_align_size();
    size_t i;
    for (i = 0; i < sizeof constants / sizeof *constants; i++) EXPECT(constants[i]() > 0);
    EXPECT((align & (align - 1)) == 0 && align >= sizeof(void *));
    EXPECT(tlsf_alloc_overhead() >= sizeof(void *));
    EXPECT(tlsf_block_size_min() < tlsf_block_size_max());
    EXPECT(tlsf_size() == size_in_other_unit());
}

static void create_wants_aligned_memory(void) {
    EXPECT(create(region(0) + 1) == NULL);
    EXPECT(use(create(region(0))) == (tlsf_t)region(0));
}

static void pool_is_where_it_was_added(void) {
    tlsf_t tlsf = use(create(region(1)));
    pool_t first = add_pool(tlsf, region(2), REGION / 2);
    pool_t lower = add_pool(tlsf, region(0), REGION / 2);
    EXPECT(first == (pool_t)region(2) && lower == (pool_t)region(0));
    EXPECT(add_pool(tlsf, region(3), tlsf_pool_overhead()) == NULL);
    EXPECT(check(tlsf) == 0 && check_pool(first) == 0 && check_pool(lower) == 0);
}

static void get_pool_is_the_one_of_the_creation(void) {
    tlsf_t tlsf = use(create_with_pool(region(1), REGION / 2));
    pool_t lower = add_pool(tlsf, region(0), REGION / 2);
    pool_t higher = add_pool(tlsf, region(2), REGION / 2);
    EXPECT(lower != NULL && higher != NULL && get_pool(tlsf) != NULL);
    EXPECT(get_pool(tlsf) != lower && get_pool(tlsf) != higher);
    EXPECT((char *)get_pool(tlsf) >= region(1) + tlsf_size() &&
           (char *)get_pool(tlsf) < region(1) + REGION / 2);
    /* The other way: control structure and pool placed side by side by hand. */
    destroy(tlsf);
    tlsf = use(create(region(1)));
    EXPECT(get_pool(tlsf) == NULL || (char *)get_pool(tlsf) == region(1) + tlsf_size());
    EXPECT(add_pool(tlsf, region(0), REGION / 2) != NULL);
    higher = add_pool(tlsf, region(1) + tlsf_size(), REGION / 2);
    EXPECT(higher != NULL && get_pool(tlsf) == higher);
}

static size_t free_bytes;
static void add_free(void *block, size_t size, int used, void *user) {
    (void)block, (void)user;
    if (!used) free_bytes += size;
}

/* The sums that programs for 3.1 make. */
static void sizes_add_up_to_the_region(void) {
    size_t bytes, least = tlsf_size() + tlsf_pool_overhead() + tlsf_block_size_min();
    char *aligned = region(0) + (16 - (size_t)region(0) % 16) % 16;
    tlsf_t tlsf;
    for (bytes = REGION / 2; bytes <= REGION; bytes += REGION / 16) {
        tlsf = create_with_pool(aligned, bytes);
        free_bytes = 0;
        walk_pool(get_pool(tlsf), add_free, NULL);
        EXPECT(free_bytes + tlsf_size() + tlsf_pool_overhead() == bytes);
        destroy(tlsf);
    }
    tlsf = use(create_with_pool(aligned, least));
    EXPECT(tlsf != NULL && allocate(tlsf, tlsf_block_size_min()) != NULL);
    EXPECT(create_with_pool(aligned + REGION, least - 1) == NULL);
}

static void removed_pool_gives_no_more_blocks(void) {
    tlsf_t tlsf = use(create(region(0)));
    pool_t pool = add_pool(tlsf, region(1), REGION / 2);
    void *block = allocate(tlsf, 100);
    EXPECT((char *)block > region(1) && (char *)block < region(1) + REGION / 2);
    release(tlsf, block);
    remove_pool(tlsf, pool);
    EXPECT(allocate(tlsf, 1) == NULL && check(tlsf) == 0);
    EXPECT(add_pool(tlsf, region(1), REGION / 2) == pool && allocate(tlsf, 1) != NULL);
}

static void malloc_gives_null_for_zero_and_want_of_memory(void) {
    tlsf_t tlsf = fresh();
    EXPECT(allocate(tlsf, 0) == NULL);
    EXPECT(allocate(tlsf, REGION) == NULL && allocate(tlsf, (size_t)-1) == NULL);
    EXPECT(allocate(tlsf, tlsf_block_size_max()) == NULL);
    EXPECT(check(tlsf) == 0);
}

static void blocks_are_aligned_and_apart(void) {
    tlsf_t tlsf = fresh();
    char *blocks[200];
    size_t i, k;
    for (i = 0; i < 200; i++) {
        blocks[i] = (char *)allocate(tlsf, i + 1);
        EXPECT(blocks[i] != NULL && aligned(blocks[i], tlsf_align_size()) &&
               block_size(blocks[i]) >= i + 1);
        EXPECT(block_size(blocks[i]) >= tlsf_block_size_min());
        memset(blocks[i], (int)i, block_size(blocks[i]));
    }
    for (i = 0; i < 200; i++) {
        for (k = 0; k < block_size(blocks[i]); k++) EXPECT(blocks[i][k] == (char)i);
    }
    EXPECT(check(tlsf) == 0);
    for (i = 0; i < 200; i++) release(tlsf, blocks[(i * 77) % 200]);
    EXPECT(walk(get_pool(tlsf)).unused == 1 && walk(get_pool(tlsf)).used == 0);
}

static void memalign_aligns(void) {
    tlsf_t tlsf = fresh();
    size_t align;
    for (align = 1; align <= 4096; align *= 2) {
        void *block = allocate_aligned(tlsf, align, 100);
        EXPECT(block != NULL && aligned(block, align) && block_size(block) >= 100);
    }
    EXPECT(allocate_aligned(tlsf, 64, 0) == NULL && allocate_aligned(tlsf, 64, REGION) == NULL);
    EXPECT(check(tlsf) == 0);
}

static void realloc_keeps_contents(void) {
    tlsf_t tlsf = fresh();
    char *block = (char *)resize(tlsf, NULL, 40);
    char *fence = (char *)allocate(tlsf, 40);
    EXPECT(block != NULL && fence != NULL);
    memcpy(block, "thirty-nine characters and a terminator", 40);
    block = (char *)resize(tlsf, block, 4000);
    EXPECT(block != NULL && strcmp(block, "thirty-nine characters and a terminator") == 0);
    EXPECT(resize(tlsf, block, REGION) == NULL &&
           strcmp(block, "thirty-nine characters and a terminator") == 0);
    block = (char *)resize(tlsf, block, 6);
    EXPECT(block != NULL && memcmp(block, "thirty", 6) == 0 && block_size(block) < 4000);
    EXPECT(resize(tlsf, block, 0) == NULL && resize(tlsf, fence, 0) == NULL);
    EXPECT(walk(get_pool(tlsf)).used == 0 && check(tlsf) == 0);
}

static void null_is_tolerated_where_3_1_does(void) {
    tlsf_t tlsf = fresh();
    release(tlsf, NULL);
    EXPECT(block_size(NULL) == 0);
    EXPECT(check(tlsf) == 0);
}

static void walker_sees_every_block_once(void) {
    tlsf_t tlsf = fresh();
    void *first = allocate(tlsf, 100);
    void *second = allocate(tlsf, 200);
    walked_t walked;
    EXPECT(first != NULL && second != NULL && allocate(tlsf, 300) != NULL);
    release(tlsf, second);
    walked = walk(get_pool(tlsf));
    EXPECT(walked.used == 2 && walked.unused == 2 && walked.ascending);
    EXPECT(walked.bytes + 4 * tlsf_alloc_overhead() < REGION && walked.bytes > REGION / 2);
}

#ifndef __SANITIZE_ADDRESS__ /* it stops at the overwriting write */
static void check_is_zero_until_something_is_overwritten(void) {
    tlsf_t tlsf = fresh();
    char *block = (char *)allocate(tlsf, 64);
    char *next = (char *)allocate(tlsf, 64);
    EXPECT(check(tlsf) == 0 && check_pool(get_pool(tlsf)) == 0);
    memset(next - tlsf_alloc_overhead(), 0xFF, tlsf_alloc_overhead());
    EXPECT(block < next && check(tlsf) != 0 && check_pool(get_pool(tlsf)) != 0);
}
#endif

static int remove_used(void) {
    tlsf_t tlsf = fresh();
    void *block = allocate(tlsf, 100);
    remove_pool(tlsf, get_pool(tlsf));
    /* Not reached, or refused: the block is unchanged. */
    release(tlsf, block);
    puts(check(tlsf) == 0 && allocate(tlsf, 100) == block ? "refused" : "gone");
    return 0;
}

#define TEST(name) {#name, name}
static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    TEST(constants_are_plausible),
    TEST(create_wants_aligned_memory),
    TEST(pool_is_where_it_was_added),
    TEST(get_pool_is_the_one_of_the_creation),
    TEST(sizes_add_up_to_the_region),
    TEST(removed_pool_gives_no_more_blocks),
    TEST(malloc_gives_null_for_zero_and_want_of_memory),
    TEST(blocks_are_aligned_and_apart),
    TEST(memalign_aligns),
    TEST(realloc_keeps_contents),
    TEST(null_is_tolerated_where_3_1_does),
    TEST(walker_sees_every_block_once),
#ifndef __SANITIZE_ADDRESS__
    TEST(check_is_zero_until_something_is_overwritten),
#endif
};

int main(int count_of_arguments, char **arguments) {
    size_t i;
    int failed = 0;
    if (count_of_arguments != 2) return 2;
    if (strcmp(arguments[1], "--remove-used") == 0) return remove_used();
    for (i = 0; i < sizeof tests / sizeof *tests; i++) {
        failures = 0;
        memset(memory.bytes, 0xA5, sizeof memory.bytes);
        current = NULL;
        tests[i].run();
        printf("%s install tlsf:%s:%s\n", failures == 0 ? "ok" : "FAIL", arguments[1],
               tests[i].name);
        failed += failures;
        destroy(current);
    }
    return failed != 0;
}
