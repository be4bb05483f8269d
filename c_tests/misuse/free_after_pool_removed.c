// A block of a removed pool.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *upper = memory + HEAP_BYTES;
    CHECK(mm_add_pool(heap, upper, 4096) != NULL);
    give(take(stats_of(heap).largest)); /* the lower pool is the larger one */
    unsigned char *lower = took(mm_malloc(heap, stats_of(heap).largest)), *p = take(1000);
    CHECK(lower < upper && p > upper);
    give(p);
    CHECK(mm_remove_pool(heap, upper) == 1);
    REFUSED(p, mm_free(heap, p));
}
