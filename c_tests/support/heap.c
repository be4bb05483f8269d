#include "heap.h"

#include <sys/mman.h>

mm_allocator_t *heap_bare(void) {
    mm_allocator_t *allocator = mm_create(suite_memory(QUANTUM, mm_size()));
    CHECK(allocator != NULL);
    return allocator;
}

mm_allocator_t *heap_bare_for(size_t max_block) {
    void *control = suite_memory(QUANTUM, mm_size_for(max_block));
    mm_allocator_t *allocator = mm_create_for(control, max_block);
    CHECK(allocator != NULL);
    return allocator;
}

mm_allocator_t *heap_over(void *region, size_t bytes) {
    mm_allocator_t *allocator = heap_bare();
    CHECK(mm_add_pool(allocator, region, bytes) != NULL);
    return allocator;
}

mm_allocator_t *heap_new(size_t usable) {
    size_t bytes = region_for(usable);
    return heap_over(suite_memory(QUANTUM, bytes), bytes);
}

void *heap_address_space(size_t bytes) {
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) suite_fail(__FILE__, __LINE__, "no address space: %zu bytes", bytes);
    return start;
}

void heap_unmap(void *start, size_t bytes) {
    munmap(start, bytes);
}

static uint64_t mixed(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
    return hash ^ (hash >> 32);
}

struct walk_state {
    heap_walk found;
    int with_bytes;
    uintptr_t end; /* of the block before, to see blocks in order */
    int disordered;
};

static void on_block(void *block, size_t size, int used, void *user) {
    struct walk_state *state = user;
    heap_walk *found = &state->found;
    if ((uintptr_t)block < state->end) state->disordered = 1;
    state->end = (uintptr_t)block + size;
    found->blocks++;
    found->shape = mixed(mixed(mixed(found->shape, (uintptr_t)block), size), used != 0);
    if (used) {
        /* From here on the whole block may be read, the slack after the request included. */
        if (mm_block_size(block) != size) state->disordered = 1;
        found->live++;
        found->used += size + HEADER;
        if (state->with_bytes) {
            const unsigned char *bytes = block;
            size_t count = size < ((size_t)1 << 20) ? size : (size_t)1 << 20, i = 0;
            for (; i + 8 <= count; i += 8) {
                uint64_t word;
                memcpy(&word, bytes + i, 8);
                found->bytes = mixed(found->bytes, word);
            }
            for (; i < count; i++) found->bytes = mixed(found->bytes, bytes[i]);
        }
    } else {
        found->free_blocks++;
        found->free += size + HEADER;
        if (size > found->largest_free) found->largest_free = size;
    }
}

heap_walk heap_walked(mm_allocator_t *allocator, int with_bytes) {
    struct walk_state state;
    memset(&state, 0, sizeof state);
    state.with_bytes = with_bytes;
    heap_settle(allocator);
    for (mm_pool_t *pool = mm_get_pool(allocator); pool; pool = mm_next_pool(allocator, pool)) {
        state.found.pools++;
        state.end = 0;
        mm_walk_pool(pool, on_block, &state);
    }
    CHECK(!state.disordered);
    return state.found;
}

mm_stats_t heap_stats(mm_allocator_t *allocator) {
    mm_stats_t stats;
    memset(&stats, 0xA5, sizeof stats);
    heap_settle(allocator);
    CHECK_EQ(mm_stats(allocator, &stats, sizeof stats), 1);
    return stats;
}

heap_state heap_freeze(mm_allocator_t *allocator) {
    heap_state state;
    memset(&state, 0, sizeof state);
    state.stats = heap_stats(allocator);
    state.walk = heap_walked(allocator, 1);
    return state;
}

/* Comparisons that name the caller's line. */
#define AT(condition)                                                                              \
    do {                                                                                           \
        if (!(condition)) suite_fail(file, line, "%s", #condition);                                \
    } while (0)
#define AT_EQ(a, b)                                                                                \
    do {                                                                                           \
        unsigned long long left = (a), right = (b);                                                \
        if (left != right)                                                                         \
            suite_fail(file, line, "%s == %s: %llu against %llu", #a, #b, left, right);            \
    } while (0)

void heap_sound_at(mm_allocator_t *allocator, const char *file, int line) {
    int checked = mm_check(allocator);
    if (checked != 0) suite_fail(file, line, "mm_check: %d", checked);
    AT(mm_validate(allocator));
    mm_stats_t stats = heap_stats(allocator);
    heap_walk walk = heap_walked(allocator, 0);
    AT_EQ(stats.live_blocks, walk.live);
    if (heap_is_debug()) {
        /* The debug library's walk gives requested sizes; a block's size is rounded up. */
        AT(stats.used >= walk.used);
        AT_EQ(stats.used != 0, walk.live != 0);
    } else {
        AT_EQ(stats.used, walk.used);
        AT_EQ(stats.free, walk.free);
    }
    AT_EQ(stats.overhead, walk.pools * (mm_pool_overhead() - HEADER));
    AT_EQ(stats.used + stats.free + stats.overhead, stats.pool_bytes);
    AT(stats.peak >= stats.used);
    AT(stats.largest <= walk.largest_free);
    if (!heap_is_debug()) AT_EQ(stats.largest != 0, walk.free_blocks != 0);
}

void heap_same_shape_at(mm_allocator_t *allocator, const heap_state *before, const char *file,
                        int line) {
    heap_state now = heap_freeze(allocator);
    AT(mm_validate(allocator));
    AT_EQ(now.stats.pool_bytes, before->stats.pool_bytes);
    AT_EQ(now.stats.used, before->stats.used);
    AT_EQ(now.stats.free, before->stats.free);
    AT_EQ(now.stats.overhead, before->stats.overhead);
    AT_EQ(now.stats.largest, before->stats.largest);
    AT_EQ(now.stats.live_blocks, before->stats.live_blocks);
    AT_EQ(now.walk.pools, before->walk.pools);
    AT_EQ(now.walk.blocks, before->walk.blocks);
    AT(now.walk.shape == before->walk.shape);
    AT(now.walk.bytes == before->walk.bytes);
}

void heap_same_at(mm_allocator_t *allocator, const heap_state *before, size_t failed,
                  const char *file, int line) {
    heap_same_shape_at(allocator, before, file, line);
    mm_stats_t now = heap_stats(allocator);
    AT_EQ(now.peak, before->stats.peak);
    AT_EQ(now.failed_requests, before->stats.failed_requests + failed);
}
