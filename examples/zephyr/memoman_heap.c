/*
 * memoman_heap.h over the kernel's public calls. Listeners run under the heap's lock, as they do
 * for k_heap, so that they see the events of one block in order.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "memoman_heap.h"

#include <errno.h>
#include <string.h>
#include <zephyr/sys/heap_listener.h>
#include <zephyr/sys/printk.h>

/* A request: a new block, or the new size of one. */
struct request {
    void *block;
    size_t align, bytes;
};

static void on_misuse(const char *what, const void *where, void *user) {
    ARG_UNUSED(user);
    printk("memoman: %s: %p\n", what, where);
    k_panic();
}

static int create(struct memoman_heap *heap) {
    heap->allocator = mm_create_with_pool(heap->memory, heap->bytes);
    if (heap->allocator == NULL) return -EINVAL;
    mm_set_error_handler(heap->allocator, on_misuse, NULL);
    heap->waiting = 0;
    return k_sem_init(&heap->freed, 0, K_SEM_MAX_LIMIT);
}

int memoman_heap_init(struct memoman_heap *heap, void *memory, size_t bytes) {
    memset(heap, 0, sizeof *heap);
    heap->memory = memory;
    heap->bytes = bytes;
    return create(heap);
}

static void *attempt(struct memoman_heap *heap, const struct request *wanted) {
    if (wanted->block != NULL) {
        size_t before = mm_block_size(wanted->block);
        void *resized = mm_realloc(heap->allocator, wanted->block, wanted->bytes);
        if (resized != NULL) {
            heap_listener_notify_free(HEAP_ID_FROM_POINTER(heap), wanted->block, before);
            heap_listener_notify_alloc(HEAP_ID_FROM_POINTER(heap), resized,
                                       mm_block_size(resized));
        }
        return resized;
    }
    void *block = mm_memalign(heap->allocator, wanted->align, wanted->bytes);
    if (block != NULL)
        heap_listener_notify_alloc(HEAP_ID_FROM_POINTER(heap), block, mm_block_size(block));
    return block;
}

/* No amount of freed memory serves the request. */
static bool is_hopeless(const struct memoman_heap *heap, const struct request *wanted) {
    return wanted->bytes == 0 || wanted->bytes > heap->bytes || wanted->align == 0 ||
           (wanted->align & (wanted->align - 1)) != 0;
}

static void *serve(struct memoman_heap *heap, const struct request *wanted, k_timeout_t timeout) {
    k_timepoint_t end = sys_timepoint_calc(timeout);
    k_spinlock_key_t key = k_spin_lock(&heap->lock);
    void *block = NULL;
    if (heap->allocator == NULL) (void)create(heap);
    while (!is_hopeless(heap, wanted)) {
        block = attempt(heap, wanted);
        if (block != NULL || K_TIMEOUT_EQ(timeout, K_NO_WAIT)) break;
        heap->waiting++;
        k_spin_unlock(&heap->lock, key);
        int missed = k_sem_take(&heap->freed, timeout);
        key = k_spin_lock(&heap->lock);
        /* No free has counted this thread: else it also gave the semaphore. */
        if (missed != 0 && heap->waiting > 0) heap->waiting--;
        timeout = sys_timepoint_timeout(end);
    }
    k_spin_unlock(&heap->lock, key);
    return block;
}

void *memoman_heap_aligned_alloc(struct memoman_heap *heap, size_t align, size_t bytes,
                                 k_timeout_t timeout) {
    return serve(heap, &(struct request){.align = align, .bytes = bytes}, timeout);
}

void *memoman_heap_alloc(struct memoman_heap *heap, size_t bytes, k_timeout_t timeout) {
    return memoman_heap_aligned_alloc(heap, sizeof(void *), bytes, timeout);
}

void *memoman_heap_calloc(struct memoman_heap *heap, size_t count, size_t size,
                          k_timeout_t timeout) {
    if (size != 0 && count > SIZE_MAX / size) return NULL;
    void *block = memoman_heap_alloc(heap, count * size, timeout);
    if (block != NULL) memset(block, 0, count * size);
    return block;
}

void *memoman_heap_realloc(struct memoman_heap *heap, void *block, size_t bytes,
                           k_timeout_t timeout) {
    if (block != NULL && bytes == 0) {
        memoman_heap_free(heap, block);
        return NULL;
    }
    return serve(heap,
                 &(struct request){.block = block, .align = sizeof(void *), .bytes = bytes},
                 timeout);
}

void memoman_heap_free(struct memoman_heap *heap, void *block) {
    if (block == NULL) return;
    k_spinlock_key_t key = k_spin_lock(&heap->lock);
    size_t bytes = mm_block_size(block);
    mm_free(heap->allocator, block);
    heap_listener_notify_free(HEAP_ID_FROM_POINTER(heap), block, bytes);
    unsigned int waiting = heap->waiting;
    heap->waiting = 0;
    k_spin_unlock(&heap->lock, key);
    /* Each of them tries again: the memory may suit any. */
    while (waiting-- > 0) k_sem_give(&heap->freed);
}
