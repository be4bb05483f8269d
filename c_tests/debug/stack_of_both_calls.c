// MM_DEBUG_STACK: the report names the callers of the allocating and of the freeing function.
// env: MM_DEBUG_STACK=3
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
// debug-detail: memoman:   block of 48 bytes allocated at SITE, freed at SITE; allocation number *
// debug-detail: memoman:     allocation called from SITE
// debug-detail: memoman:     free called from SITE
#include "../misuse/misuse.h"

#define FRAME __attribute__((noinline, optimize("no-omit-frame-pointer")))

FRAME static void *make(size_t bytes) {
    void *block = mm_malloc(heap, bytes);
    __asm__ volatile("");
    return block;
}

FRAME static void drop(void *block) {
    mm_free(heap, block);
    __asm__ volatile("");
}

FRAME static void *resize(void *block, size_t bytes) {
    block = mm_realloc(heap, block, bytes);
    __asm__ volatile("");
    return block;
}

FRAME static void misuse(void) {
    /* The stacks lie after the guard of every block, also of one that is resized. */
    for (size_t bytes = 1; bytes < 600; bytes = bytes * 5 / 4 + 1) {
        unsigned char *q = memset(make(bytes), 1, bytes);
        q = memset(resize(q, 3 * bytes), 2, 3 * bytes);
        q = memset(resize(q, bytes), 3, bytes);
        CHECK(mm_validate(heap));
        drop(q);
    }
    CHECK(mm_validate(heap));
    unsigned char *p = make(48);
    CHECK(mm_block_size(p) == 48);
    drop(p);
    REFUSED(p, drop(p));
}
