// Another allocator's block.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    mm_allocator_t *other = mm_create_with_pool(memory + HEAP_BYTES, HEAP_BYTES);
    void *p = mm_malloc(other, 100);
    CHECK(p != NULL);
    REFUSED(p, mm_free(heap, p));
    CHECK(mm_validate(other));
}
