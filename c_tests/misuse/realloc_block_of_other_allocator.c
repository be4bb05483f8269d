// Another allocator's block, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    mm_allocator_t *other = mm_create_with_pool(memory + HEAP_BYTES, HEAP_BYTES);
    void *p = mm_malloc(other, 100);
    CHECK(p != NULL);
    REFUSED_NULL(p, mm_realloc(heap, p, 200));
    CHECK(mm_validate(other));
}
