// Another allocator's block, from between two pools of this one.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
// debug-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    unsigned char *middle = memory + HEAP_BYTES, *upper = middle + HEAP_BYTES / 2;
    mm_allocator_t *other = mm_create_with_pool(middle, HEAP_BYTES / 2);
    CHECK(mm_add_pool(heap, upper, HEAP_BYTES / 2) != NULL);
    void *p = mm_malloc(other, 100);
    CHECK(p != NULL);
    REFUSED(p, mm_free(heap, p));
    CHECK(mm_validate(other));
}
