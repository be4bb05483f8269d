// One byte past the end of a block that is in use when its allocator is destroyed.
// expect-signal: SIGABRT
// expect-stderr: memoman: write past the end of the block (overflow): POINTER
// debug-detail: memoman:   block of 48 bytes allocated at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    mm_allocator_t *other = mm_create_with_pool(memory + HEAP_BYTES, HEAP_BYTES);
    if (returns) mm_set_error_handler(other, on_misuse, &handler_word);
    unsigned char *p = mm_malloc(other, 48);
    smash(p + 48, 1, 'A');
    REFUSED(p, mm_destroy(other));
}
