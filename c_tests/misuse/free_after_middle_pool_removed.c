// A freed block in a removed pool between two others.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
// debug-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *middle = memory + HEAP_BYTES, *upper = middle + 8192;
    take(stats_of(heap).largest);
    CHECK(mm_add_pool(heap, middle, 4096) != NULL);
    unsigned char *p = take(1000);
    CHECK(p > middle && p < upper);
    give(p);
    CHECK(mm_add_pool(heap, upper, 4096) != NULL);
    CHECK(mm_remove_pool(heap, middle) == 1);
    REFUSED(p, mm_free(heap, p));
}
