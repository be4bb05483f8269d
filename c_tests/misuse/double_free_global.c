// A block of the process-wide allocator, freed twice.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    use_heap(mm_default());
    void *p = mm_malloc_global(40), *guard = mm_malloc_global(40);
    CHECK(p && guard);
    mm_free_global(p);
    REFUSED(p, mm_free_global(p));
    mm_free_global(guard);
}
