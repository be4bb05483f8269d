/*
 * mm_memoman.c under stubs of NuttX, on a board of QEMU: what the system expects of a heap manager,
 * as assertions.
 */
#include "../firmware/require.h"

#include <assert.h>
#include <malloc.h>
#include <nuttx/irq.h>
#include <nuttx/mm/mm.h>
#include <nuttx/sched.h>
#include <stdint.h>
#include <string.h>
#include <syslog.h>

static unsigned char first[8 * 1024] __attribute__((aligned(8))), second[4 * 1024];
static int masked, panics, thread = 1, lines;

irqstate_t enter_critical_section(void) { return (irqstate_t)masked++; }
void leave_critical_section(irqstate_t flags) {
    REQUIRE(masked == (int)flags + 1);
    masked--;
}
int nxsched_gettid(void) { return thread; }
void stub_panic(void) { panics++; }
void syslog(int priority, const char *format, ...) {
    (void)format;
    lines += priority == LOG_INFO;
}

static void serves_and_takes_back(struct mm_heap_s *heap) {
    unsigned char *a = mm_malloc(heap, 100), *b = mm_memalign(heap, 256, 100);
    unsigned char *c = mm_calloc(heap, 10, 10), *nothing = mm_malloc(heap, 0);
    REQUIRE(a != NULL && b != NULL && c != NULL && nothing != NULL && (uintptr_t)b % 256 == 0);
    REQUIRE(mm_heapmember(heap, a) && !mm_heapmember(heap, second));
    REQUIRE(mm_malloc_size(heap, a) >= 100);
    for (int i = 0; i < 100; i++) REQUIRE(c[i] == 0);
    memset(a, 5, 100);
    a = mm_realloc(heap, a, 1000);
    REQUIRE(a != NULL && a[0] == 5 && a[99] == 5);
    a = mm_realloc(heap, a, 0);
    REQUIRE(a != NULL && mm_malloc_size(heap, a) < 100);
    REQUIRE(mm_malloc(heap, SIZE_MAX) == NULL && mm_calloc(heap, SIZE_MAX / 2, 4) == NULL);
    struct mallinfo info = mm_mallinfo(heap);
    REQUIRE(info.aordblks == 4 && info.ordblks >= 1 && info.mxordblk > 0);
    REQUIRE(info.uordblks + info.fordblks == info.arena);
    mm_memdump(heap, &(struct mm_memdump_s){.pid = PID_MM_ALLOC});
    REQUIRE(lines == 4);
    REQUIRE(mm_mallinfo_task(heap, &(struct malltask){.pid = PID_MM_ALLOC}).aordblks == 4);
    mm_free(heap, a);
    mm_free(heap, b);
    mm_free(heap, c);
    mm_free(heap, nothing);
    mm_free(heap, NULL);
    REQUIRE(mm_mallinfo(heap).aordblks == 0);
}

static void regions_and_their_ends(struct mm_heap_s *heap) {
    size_t before = mm_heapfree(heap);
    mm_addregion(heap, second, 2048);
    REQUIRE(mm_heapfree(heap) > before + 1900 && mm_heapmember(heap, second + 100));
    REQUIRE(mm_brkaddr(heap, 0) == first + sizeof first && mm_brkaddr(heap, 1) == second + 2048);
    mm_extend(heap, second + 2048, 2048, 1);
    REQUIRE(mm_heapfree(heap) > before + 3900 && mm_brkaddr(heap, 1) == second + 4096);
    mm_checkcorruption(heap);
}

/* A thread that ends frees its stack, on which it runs: the block stays as it is for a while. */
static void a_stack_waits(struct mm_heap_s *heap) {
    size_t before = mm_heapfree(heap), largest = mm_heapfree_largest(heap);
    unsigned char *stack = mm_malloc(heap, largest);
    REQUIRE(stack != NULL);
    memset(stack, 9, largest);
    thread = -3;
    mm_free(heap, stack);
    thread = 1;
    for (size_t i = sizeof(void *); i < largest; i++) REQUIRE(stack[i] == 9);
    REQUIRE(mm_heapfree(heap) + largest <= before);
    /* The next request finds it free. */
    unsigned char *lower = mm_malloc(heap, largest - 400), *upper = mm_malloc(heap, 100);
    REQUIRE(lower == stack && upper != NULL);
    /* Two of them: the first one that is freed is not the one it needs. */
    thread = -3;
    mm_free(heap, lower);
    mm_free(heap, upper);
    thread = 1;
    void *again = mm_malloc(heap, largest);
    REQUIRE(again == stack);
    thread = -3;
    mm_free(heap, again);
    thread = 1;
    mm_free_delaylist(heap);
    REQUIRE(mm_heapfree(heap) == before);
}

static void misuse_panics(struct mm_heap_s *heap) {
    REQUIRE(panics == 0);
    void *block = mm_malloc(heap, 24), *next = mm_malloc(heap, 24);
    mm_free(heap, block);
    mm_free(heap, block);
    REQUIRE(panics == 1);
    mm_free(heap, next);
    mm_checkcorruption(heap);
    mm_uninitialize(heap);
    REQUIRE(panics == 1 && masked == 0);
}

int main(void) {
    struct mm_heap_s *heap = mm_initialize("Umem", first, sizeof first);
    serves_and_takes_back(heap);
    regions_and_their_ends(heap);
    a_stack_waits(heap);
    misuse_panics(heap);
    host_print("sound\n");
    return 0;
}
