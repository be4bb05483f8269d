// A write into a freed block that is in quarantine when its allocator is destroyed.
// expect-signal: SIGABRT
// expect-stderr: memoman: write after free: POINTER
// debug-detail: memoman:   first overwritten byte: 0x*, 20 bytes into the block, is now 0x0
// debug-detail: memoman:   block of 48 bytes allocated at SITE, freed at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    mm_allocator_t *other = mm_create_with_pool(memory + HEAP_BYTES, HEAP_BYTES);
    if (returns) mm_set_error_handler(other, on_misuse, &handler_word);
    unsigned char *p = mm_malloc(other, 48);
    mm_free(other, p);
    smash(p + 20, 1, 0);
    REFUSED(p, mm_destroy(other));
}
