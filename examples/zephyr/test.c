/*
 * memoman_heap.c under a kernel of stubs, on a board of QEMU: what k_heap promises, as assertions.
 * A thread that waits is the test itself: k_sem_take frees a block in its stead, or lets time pass.
 */
#include "../firmware/require.h"
#include "memoman_heap.h"

#include <errno.h>
#include <string.h>
#include <zephyr/sys/heap_listener.h>
#include <zephyr/sys/printk.h>

MEMOMAN_HEAP_DEFINE(heap, 8 * 1024);

static int locked, panics, waits;
static uint64_t now;
static void *to_free;
static size_t in_use;

k_spinlock_key_t k_spin_lock(struct k_spinlock *lock) {
    ARG_UNUSED(lock);
    REQUIRE(locked == 0);
    locked++;
    return (k_spinlock_key_t){7};
}
void k_spin_unlock(struct k_spinlock *lock, k_spinlock_key_t key) {
    ARG_UNUSED(lock);
    REQUIRE(locked == 1 && key.key == 7);
    locked--;
}
k_timepoint_t sys_timepoint_calc(k_timeout_t timeout) {
    if (timeout.ticks < 0) return (k_timepoint_t){UINT64_MAX};
    return (k_timepoint_t){timeout.ticks == 0 ? 0 : now + (uint64_t)timeout.ticks};
}
k_timeout_t sys_timepoint_timeout(k_timepoint_t timepoint) {
    if (timepoint.tick == UINT64_MAX) return K_FOREVER;
    return (k_timeout_t){timepoint.tick > now ? (int64_t)(timepoint.tick - now) : 0};
}
int k_sem_init(struct k_sem *sem, unsigned int initial_count, unsigned int limit) {
    *sem = (struct k_sem){initial_count, limit};
    return 0;
}
void k_sem_give(struct k_sem *sem) { sem->count++; }
int k_sem_take(struct k_sem *sem, k_timeout_t timeout) {
    REQUIRE(locked == 0 && timeout.ticks != 0);
    waits++;
    void *block = to_free;
    to_free = NULL;
    memoman_heap_free(&heap, block);
    if (sem->count > 0) {
        sem->count--;
        return 0;
    }
    REQUIRE(timeout.ticks > 0);
    now += (uint64_t)timeout.ticks;
    return -EAGAIN;
}
void k_panic(void) { panics++; }
void printk(const char *format, ...) { ARG_UNUSED(format); }
void heap_listener_notify_alloc(uintptr_t heap_id, void *mem, size_t bytes) {
    REQUIRE(locked == 1 && heap_id == (uintptr_t)&heap && mem != NULL);
    in_use += bytes;
}
void heap_listener_notify_free(uintptr_t heap_id, void *mem, size_t bytes) {
    REQUIRE(locked == 1 && heap_id == (uintptr_t)&heap && mem != NULL && bytes <= in_use);
    in_use -= bytes;
}

static void serves_and_takes_back(void) {
    unsigned char *a = memoman_heap_alloc(&heap, 100, K_NO_WAIT);
    unsigned char *b = memoman_heap_aligned_alloc(&heap, 256, 100, K_FOREVER);
    unsigned char *c = memoman_heap_calloc(&heap, 10, 10, K_NO_WAIT);
    REQUIRE(a != NULL && b != NULL && c != NULL && (uintptr_t)b % 256 == 0 && in_use >= 300);
    for (int i = 0; i < 100; i++) REQUIRE(c[i] == 0);
    memset(a, 5, 100);
    a = memoman_heap_realloc(&heap, a, 1000, K_NO_WAIT);
    REQUIRE(a != NULL && a[0] == 5 && a[99] == 5 && in_use >= 1200);
    REQUIRE(memoman_heap_realloc(&heap, a, 0, K_NO_WAIT) == NULL);
    memoman_heap_free(&heap, b);
    memoman_heap_free(&heap, c);
    memoman_heap_free(&heap, NULL);
    REQUIRE(in_use == 0 && waits == 0);
}

static void refuses_at_once(void) {
    REQUIRE(memoman_heap_alloc(&heap, 0, K_FOREVER) == NULL);
    REQUIRE(memoman_heap_alloc(&heap, 9 * 1024, K_FOREVER) == NULL);
    REQUIRE(memoman_heap_aligned_alloc(&heap, 24, 8, K_FOREVER) == NULL);
    REQUIRE(memoman_heap_calloc(&heap, SIZE_MAX / 2, 4, K_FOREVER) == NULL);
    REQUIRE(memoman_heap_alloc(&heap, 8000, K_NO_WAIT) == NULL && waits == 0);
}

static void waits_for_memory(void) {
    void *most = memoman_heap_alloc(&heap, 5000, K_NO_WAIT);
    REQUIRE(most != NULL);
    to_free = most;
    void *block = memoman_heap_alloc(&heap, 5000, K_FOREVER);
    REQUIRE(block == most && waits == 1 && heap.waiting == 0 && heap.freed.count == 0);
    /* Nothing is freed: the time passes. */
    uint64_t begin = now;
    REQUIRE(memoman_heap_alloc(&heap, 5000, K_TICKS(30)) == NULL);
    REQUIRE(now == begin + 30 && waits == 2 && heap.waiting == 0);
    memoman_heap_free(&heap, block);
    REQUIRE(heap.freed.count == 0);
}

static void misuse_panics(void) {
    struct memoman_heap small;
    static unsigned char memory[16];
    REQUIRE(memoman_heap_init(&small, memory, sizeof memory) == -EINVAL);
    static size_t word;
    mm_free(heap.allocator, &word);
    REQUIRE(panics == 1 && mm_validate(heap.allocator));
}

int main(void) {
    serves_and_takes_back();
    refuses_at_once();
    waits_for_memory();
    misuse_panics();
    host_print("sound\n");
    return 0;
}
