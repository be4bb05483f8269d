/* A process with a published object, whose figures are made up; docs/book/live-figures.md. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

struct control {
    size_t used, peak, live_blocks, failed_requests, pool_bytes, overhead;
};
struct class {
    size_t left;
};
struct heap {
    struct heap *next;
    struct control control;
    struct class classes[3];
    uint16_t rooms[3];
};
#define USED_AT(member) offsetof(struct control, member)

static struct heap last = {NULL, {400, 900, 9, 0, 4096, 48}, {{0}, {5}, {1}}, {0, 8, 3}};
static struct heap first = {&last, {300, 800, 3, 0, 4096, 48}, {{0}, {2}, {2}}, {0, 2, 2}};
static struct heap *heaps = &first;
static struct control process = {10000, 12000, 50, 2, 100000, 96};
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
    "memoman", 1, sizeof(struct published),
    {26 * 4, sizeof(void *), 16, 8, 32, 48, 1, 2, 4, sizeof(struct control), 0, 0, 0, 0,
     USED_AT(used), USED_AT(peak), USED_AT(live_blocks), USED_AT(failed_requests), 0,
     USED_AT(pool_bytes), USED_AT(overhead)},
    offsetof(struct heap, next), offsetof(struct heap, control), offsetof(struct heap, classes),
    sizeof(struct class), offsetof(struct class, left), offsetof(struct heap, rooms), 3, 0,
    &process, &heaps,
    {&segment_bytes, &segments, &refused, &large_bytes, &large_allocated, &large_freed}};

int main(int count, char **arguments)
{
    (void)arguments;
    if (count > 1) memoman_published.version = 9;
    printf("%p\n", (void *)&last.control);
    fflush(stdout);
    sleep(60);
}
