/* Planted: two threads use one handle at the same time, which the contract forbids. ThreadSanitizer
 * must report it, as it would report state shared by two allocators. */
#include "../support/heap.h"
#include "meet.h"

static mm_allocator_t *heap;

/* The race may damage the heap: its report must not end the program before ThreadSanitizer's. */
static void ignore(const char *message, const void *ptr, void *user) {
    (void)message, (void)ptr, (void)user;
}

static void use(void *unused) {
    (void)unused;
    planted_meet();
    for (int i = 0; i < 100; i++) mm_free(heap, mm_malloc(heap, 100));
}

TEST(planted, shared_allocator) {
    suite_thread threads[2];
    heap = heap_new(100000);
    mm_set_error_handler(heap, ignore, NULL);
    for (int i = 0; i < 2; i++) suite_start(&threads[i], use, NULL);
    for (int i = 0; i < 2; i++) suite_join(&threads[i]);
}
