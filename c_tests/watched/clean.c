/* No bug: nothing may be reported. Every block is used to its last byte. */
#include "watched.h"

static void fill(mm_allocator_t *heap, char *block, size_t bytes) {
    if (!block) abort();
    memset(block, 1, bytes);
    size_t usable = mm_block_size(block);
    memset(block, 2, usable);
    if (!mm_validate(heap)) abort();
}

static void on_block(void *block, size_t size, int used, void *count) {
    (void)block, (void)size;
    *(int *)count += used;
}

static void bug(mm_allocator_t *heap) {
    static unsigned char more[65536];
    char *blocks[64];
    int used = 0;
    mm_cursor_t cursor = {{0}};
    mm_pool_t *pool = mm_add_pool(heap, more, 32768);
    if (!mm_extend_pool(heap, pool, 32768)) abort();
    for (int i = 0; i < 64; i++) fill(heap, blocks[i] = mm_malloc(heap, 24 + i * 7), 24 + i * 7);
    for (int i = 0; i < 64; i += 3)
        mm_free(heap, blocks[i]), blocks[i] = mm_calloc(heap, 3, 100 + i);
    for (int i = 0; i < 64; i++)
        fill(heap, blocks[i] = mm_realloc(heap, blocks[i], 10 + i * i % 900), 10 + i * i % 900);
    for (int i = 0; i < 64; i++)
        fill(heap, blocks[i] = mm_realloc_aligned(heap, blocks[i], 64, 1 + i * 31), 1 + i * 31);
    for (mm_pool_t *p = mm_get_pool(heap); p; p = mm_next_pool(heap, p))
        mm_walk_pool(p, on_block, &used);
    if (used != 64 || mm_validate_step(heap, &cursor, 5) == 0) abort();
    for (int i = 0; i < 64; i++) mm_free(heap, blocks[i]);
    if (mm_get_pool_for_ptr(heap, more + 5) != pool || !mm_validate_pool(pool) ||
        mm_check_pool(pool))
        abort();
    if (!mm_remove_pool(heap, more)) abort();
    memset(more, 3, sizeof more); /* the pool is removed */
    fill(heap, mm_memalign(heap, 1024, 77), 77);
    if (!mm_reset(heap)) abort();
    fill(heap, mm_malloc(heap, 7777), 7777);
    mm_destroy(heap);
    memset(memory, 4, sizeof memory); /* the allocator is destroyed */
    heap = mm_create(memory);
    if (!heap || !mm_add_pool(heap, more, sizeof more)) abort();
    fill(heap, mm_malloc(heap, 777), 777);
    puts("clean");
}
