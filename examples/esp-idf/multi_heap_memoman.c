/*
 * ESP-IDF's heaps over memoman: the linker puts these functions in place of those of multi_heap.h
 * (--wrap), so that heap_caps_malloc, malloc and new of every capability come from memoman. Calls
 * take constant time within the heap's critical section, apart from heap_caps_get_info, _check,
 * _dump and _walk.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <esp_rom_sys.h>
#include <freertos/FreeRTOS.h>
#include <memoman.h>
#include <multi_heap.h>
#include <stdlib.h>

#include "sdkconfig.h"

#if !defined(CONFIG_HEAP_POISONING_DISABLED) || defined(CONFIG_HEAP_TASK_TRACKING)
/* Both write into the blocks of ESP-IDF's own heap. memoman tests headers in every build. */
#error "multi_heap_memoman.c: CONFIG_HEAP_POISONING_DISABLED, and no CONFIG_HEAP_TASK_TRACKING"
#endif

/* At the start of the heap's memory; memoman's control structure follows it. */
struct multi_heap_info {
    portMUX_TYPE *lock;
    mm_allocator_t *allocator;
    size_t lowest;
};

/* The wrapped name of a function of multi_heap.h. */
#define WRAPPED(name) __wrap_multi_heap_##name

static void lock(multi_heap_handle_t heap) {
    if (heap->lock != NULL) portENTER_CRITICAL_SAFE(heap->lock);
}

static void unlock(multi_heap_handle_t heap) {
    if (heap->lock != NULL) portEXIT_CRITICAL_SAFE(heap->lock);
}

static void on_misuse(const char *what, const void *where, void *user) {
    (void)user;
    esp_rom_printf("CORRUPT HEAP: memoman: %s: %p\n", what, where);
    abort();
}

static size_t free_bytes(multi_heap_handle_t heap) {
    mm_stats_t stats;
    return mm_stats(heap->allocator, &stats, sizeof stats) ? stats.free : 0;
}

/* Ends an allocation: the lowest number of free bytes is noted. */
static void *allocated(multi_heap_handle_t heap, void *block) {
    size_t left = free_bytes(heap);
    if (left < heap->lowest) heap->lowest = left;
    unlock(heap);
    return block;
}

multi_heap_handle_t WRAPPED(register)(void *start, size_t size) {
    uintptr_t at = ((uintptr_t)start + 7) & ~(uintptr_t)7;
    size_t skip = at - (uintptr_t)start + sizeof(struct multi_heap_info);
    multi_heap_handle_t heap = (multi_heap_handle_t)at;
    mm_allocator_t *allocator =
        size > skip ? mm_create_with_pool(heap + 1, size - skip) : NULL;
    if (allocator == NULL) return NULL;
    heap->lock = NULL;
    heap->allocator = allocator;
    mm_set_error_handler(allocator, on_misuse, NULL);
    heap->lowest = free_bytes(heap);
    return heap;
}

void WRAPPED(set_lock)(multi_heap_handle_t heap, void *mutex) { heap->lock = mutex; }

void WRAPPED(internal_lock)(multi_heap_handle_t heap) { lock(heap); }

void WRAPPED(internal_unlock)(multi_heap_handle_t heap) { unlock(heap); }

void *WRAPPED(malloc)(multi_heap_handle_t heap, size_t size) {
    if (heap == NULL) return NULL;
    lock(heap);
    return allocated(heap, mm_malloc(heap->allocator, size));
}

void *WRAPPED(aligned_alloc)(multi_heap_handle_t heap, size_t size, size_t alignment) {
    if (heap == NULL) return NULL;
    lock(heap);
    return allocated(heap, mm_memalign(heap->allocator, alignment, size));
}

/* An address that is aligned `offset` bytes further on: for poisoning only, so none is served. */
void *WRAPPED(aligned_alloc_offs)(multi_heap_handle_t heap, size_t size, size_t alignment,
                                  size_t offset) {
    return offset == 0 ? WRAPPED(aligned_alloc)(heap, size, alignment) : NULL;
}

void *WRAPPED(realloc)(multi_heap_handle_t heap, void *p, size_t size) {
    if (heap == NULL) return NULL;
    lock(heap);
    return allocated(heap, mm_realloc(heap->allocator, p, size));
}

void WRAPPED(free)(multi_heap_handle_t heap, void *p) {
    if (heap == NULL) return;
    lock(heap);
    mm_free(heap->allocator, p);
    unlock(heap);
}

void WRAPPED(aligned_free)(multi_heap_handle_t heap, void *p) { WRAPPED(free)(heap, p); }

size_t WRAPPED(get_allocated_size)(multi_heap_handle_t heap, void *p) {
    (void)heap;
    return mm_block_size(p);
}

size_t WRAPPED(get_full_block_size)(multi_heap_handle_t heap, void *p) {
    (void)heap;
    return mm_block_size(p) + mm_alloc_overhead();
}

size_t WRAPPED(free_size)(multi_heap_handle_t heap) { return heap ? free_bytes(heap) : 0; }

size_t WRAPPED(minimum_free_size)(multi_heap_handle_t heap) { return heap ? heap->lowest : 0; }

size_t WRAPPED(reset_minimum_free_bytes)(multi_heap_handle_t heap) {
    lock(heap);
    size_t lowest = heap->lowest;
    heap->lowest = free_bytes(heap);
    unlock(heap);
    return lowest;
}

void WRAPPED(restore_minimum_free_bytes)(multi_heap_handle_t heap, const size_t lowest) {
    lock(heap);
    if (lowest < heap->lowest) heap->lowest = lowest;
    unlock(heap);
}

/* A walk over the heap: the caller's function, until it returns false, or a search. */
struct walk {
    multi_heap_walker_cb_t visit;
    void *user;
    const char *wanted;
    void *found;
    size_t free_blocks;
    bool ended;
};

static void count_free(void *block, size_t size, int used, void *user) {
    struct walk *walk = user;
    (void)block;
    (void)size;
    walk->free_blocks += !used;
}

static void visit(void *block, size_t size, int used, void *user) {
    struct walk *walk = user;
    if (!walk->ended) walk->ended = !walk->visit(block, size, used, walk->user);
}

static void search(void *block, size_t size, int used, void *user) {
    struct walk *walk = user;
    const char *start = block;
    if (used && walk->wanted >= start && walk->wanted < start + size) walk->found = block;
}

static void print_block(void *block, size_t size, int used, void *user) {
    (void)user;
    esp_rom_printf("Block data, size: %lu bytes, Free: %s, %p\n", (unsigned long)size,
           used ? "No" : "Yes", block);
}

static void walk_heap(multi_heap_handle_t heap, mm_walker walker, struct walk *walk) {
    lock(heap);
    mm_walk_pool(mm_get_pool(heap->allocator), walker, walk);
    unlock(heap);
}

void WRAPPED(walk)(multi_heap_handle_t heap, multi_heap_walker_cb_t function, void *user) {
    walk_heap(heap, visit, &(struct walk){.visit = function, .user = user});
}

void *WRAPPED(find_containing_block)(multi_heap_handle_t heap, void *ptr) {
    struct walk walk = {.wanted = ptr};
    walk_heap(heap, search, &walk);
    return walk.found;
}

void WRAPPED(dump)(multi_heap_handle_t heap) {
    esp_rom_printf("Showing data for heap: %p\n", (void *)heap);
    walk_heap(heap, print_block, NULL);
}

bool WRAPPED(check)(multi_heap_handle_t heap, bool print_errors) {
    mm_violation_t broken;
    lock(heap);
    int number = mm_diagnose(heap->allocator, &broken);
    unlock(heap);
    if (number != 0 && print_errors)
        esp_rom_printf("CORRUPT HEAP: invariant %d, %s, at %p\n", number, broken.name,
                       broken.address);
    return number == 0;
}

void WRAPPED(get_info)(multi_heap_handle_t heap, multi_heap_info_t *info) {
    mm_stats_t stats = {0};
    struct walk walk = {0};
    *info = (multi_heap_info_t){0};
    if (heap == NULL) return;
    walk_heap(heap, count_free, &walk);
    lock(heap);
    mm_stats(heap->allocator, &stats, sizeof stats);
    info->minimum_free_bytes = heap->lowest;
    unlock(heap);
    info->total_free_bytes = stats.free;
    info->total_allocated_bytes = stats.used - stats.live_blocks * mm_alloc_overhead();
    info->largest_free_block = stats.largest;
    info->allocated_blocks = stats.live_blocks;
    info->free_blocks = walk.free_blocks;
    info->total_blocks = stats.live_blocks + walk.free_blocks;
}
