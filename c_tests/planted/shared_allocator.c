/* Planted: two threads use one handle at the same time, which the contract forbids. ThreadSanitizer must report it, so
 * it would see state that two allocators share. */
#include "../support/heap.h"

static mm_allocator_t *heap;

static void use(void *unused) {
    (void)unused;
    for (int i = 0; i < 1000; i++) mm_free(heap, mm_malloc(heap, 100));
}

TEST(planted, shared_allocator) {
    suite_thread threads[2];
    heap = heap_new(100000);
    for (int i = 0; i < 2; i++) suite_start(&threads[i], use, NULL);
    for (int i = 0; i < 2; i++) suite_join(&threads[i]);
}
