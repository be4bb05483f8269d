/*
 * A heap for Zephyr over memoman, with the calls of k_heap: every call takes constant time under
 * the heap's spin lock, however fragmented the heap is. The calls may be made from interrupts, with
 * K_NO_WAIT. With CONFIG_HEAP_LISTENER, listeners of HEAP_ID_FROM_POINTER(heap) are notified.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef MEMOMAN_HEAP_H
#define MEMOMAN_HEAP_H

#include <memoman.h>
#include <zephyr/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

struct memoman_heap {
    void *memory;
    size_t bytes;
    /* For mm_stats and other calls of memoman.h, under the lock; NULL before the first call. */
    mm_allocator_t *allocator;
    struct k_spinlock lock;
    struct k_sem freed;
    unsigned int waiting;
};

/* A heap of `size` bytes, the control structure included; as K_HEAP_DEFINE. */
#define MEMOMAN_HEAP_DEFINE(name, size)                                                        \
    static unsigned char name##_memory[size] __aligned(8);                                     \
    struct memoman_heap name = {.memory = name##_memory, .bytes = sizeof name##_memory}

/* A heap in memory that outlives it. -EINVAL if that is too small. */
int memoman_heap_init(struct memoman_heap *heap, void *memory, size_t bytes);

/* As k_heap_alloc and so on: a request waits until `timeout` for memory to be freed. NULL at once
 * for 0 bytes, for an alignment that is no power of two, and beyond the heap's size. */
void *memoman_heap_alloc(struct memoman_heap *heap, size_t bytes, k_timeout_t timeout);
void *memoman_heap_aligned_alloc(struct memoman_heap *heap, size_t align, size_t bytes,
                                 k_timeout_t timeout);
void *memoman_heap_calloc(struct memoman_heap *heap, size_t count, size_t size,
                          k_timeout_t timeout);

/* Keeps the contents and, if it fails, the block. NULL allocates, 0 bytes free. */
void *memoman_heap_realloc(struct memoman_heap *heap, void *block, size_t bytes,
                           k_timeout_t timeout);

/* A double free, a foreign pointer or an overwritten header ends in k_panic(). */
void memoman_heap_free(struct memoman_heap *heap, void *block);

#ifdef __cplusplus
}
#endif

#endif
