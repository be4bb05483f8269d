/* A process with a published object, whose figures are made up; docs/book/live-figures.md. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct control {
    size_t used, peak, live_blocks, failed_requests, pool_bytes, overhead, cookie;
    struct pool *first_pool;
};
struct pool {
    struct pool *next, *prev;
    struct control *control;
    char *end;
    size_t unused, words[47];
};
struct class {
    size_t left;
};
struct heap {
    struct heap *next;
    struct control control;
    struct class classes[3];
    uint32_t rooms[3];
};
#define USED_AT(member) offsetof(struct control, member)

static struct heap last = {NULL, {400, 900, 9, 0, 4096, 48}, {{0}, {5}, {1}}, {0, 8, 3}};
static struct heap first = {&last, {300, 800, 3, 0, 4096, 48}, {{0}, {2}, {2}}, {0, 2, 2}};
/* Two pools, with free blocks of 96 bytes in each, of 160 and of 128. */
static _Alignas(16) struct pool pools[2];
_Static_assert(sizeof(struct pool) % 16 == 0, "the second one is aligned");
static struct heap *heaps = &first;
static struct control process = {10000, 12000, 50, 2, 100000, 96, (size_t)0xabcd << 48, NULL};
static size_t segment_bytes = 8192, segments = 2, refused = 7;
static size_t large_bytes = 1 << 20, large_allocated = 9, large_freed = 8;

struct published {
    char magic[8];
    uint32_t version, bytes, layout[26];
    uint32_t heap_next, heap_control, heap_classes, class_bytes, class_left, heap_rooms, classes;
    uint32_t before_control;
    void *process, *heaps, *words[6];
};
struct published memoman_published = {
    "memoman", 2, sizeof(struct published),
    {26 * 4, sizeof(void *), 16, 8, 32, 48, 1, 2, 4, sizeof(struct control), 0,
     USED_AT(cookie), 0, 0, USED_AT(used), USED_AT(peak), USED_AT(live_blocks),
     USED_AT(failed_requests), USED_AT(first_pool), USED_AT(pool_bytes), USED_AT(overhead), 0,
     sizeof(void *), 2 * sizeof(void *), 3 * sizeof(void *), 6 * sizeof(void *)},
    offsetof(struct heap, next), offsetof(struct heap, control), offsetof(struct heap, classes),
    sizeof(struct class), offsetof(struct class, left), offsetof(struct heap, rooms), 3, 0,
    &process, &heaps,
    {&segment_bytes, &segments, &refused, &large_bytes, &large_allocated, &large_freed}};

/* A block at a byte of the pool: its header stands before its payload. */
static size_t put(struct pool *pool, size_t at, size_t size, size_t flags)
{
    *(size_t *)((char *)pool + at - sizeof(size_t)) = (size | flags) ^ process.cookie;
    return at + size;
}

static void fill(struct pool *pool, size_t between)
{
    size_t at = put(pool, 6 * sizeof(void *), 64, 0);
    at = put(pool, at, 96, 1);
    at = put(pool, at, 32, 2);
    at = put(pool, at, between, 1);
    put(pool, at, at, 4 | 2);
    pool->control = &process;
    pool->end = (char *)pool + at + 8;
}

int main(int count, char **arguments)
{
    const char *how = count > 1 ? arguments[1] : "";
    if (!strcmp(how, "newer")) memoman_published.version = 9;
    fill(&pools[0], 160);
    fill(&pools[1], 128);
    pools[0].next = &pools[1];
    process.first_pool = &pools[0];
    /* What a heap looks like that changes meanwhile. */
    if (!strcmp(how, "changing")) put(&pools[1], 6 * sizeof(void *), 48, 4);
    printf("%p\n", (void *)&last.control);
    fflush(stdout);
    sleep(60);
}
