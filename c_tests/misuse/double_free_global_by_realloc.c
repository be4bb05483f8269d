// A freed block of the process-wide allocator, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "misuse.h"

static void misuse(void) {
    use_heap(mm_default());
    void *p = mm_malloc_global(40), *guard = mm_malloc_global(40);
    CHECK(p && guard);
    mm_free_global(p);
    REFUSED_NULL(p, mm_realloc_global(p, 100));
    mm_free_global(guard);
}
