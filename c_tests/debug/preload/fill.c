// The patterns in memory that the program has not written yet, or has freed.
// expect-stderr: memoman: write after free: 0x
// expect-signal: SIGABRT
#include "../../preload/check.h"
#include <malloc.h>

/* All bytes of a block have this value. */
static int all(const unsigned char *p, size_t size, unsigned char byte) {
    for (size_t i = 0; i < size; i++)
        if (p[i] != byte) return 0;
    return 1;
}

int main(void) {
    for (size_t size = 1; size < 5000; size = size * 3 / 2 + 1) {
        unsigned char *p = opaque(malloc(size));
        CHECK(malloc_usable_size(p) == size);
        CHECK(all(p, size, 0xAA));
        memset(p, 1, size);
        p = opaque(realloc(p, 2 * size));
        CHECK(all(p, size, 1) && all(p + size, size, 0xAA));
        p = opaque(realloc(p, size));
        CHECK(all(p, size, 1));
        free(p);
        CHECK(all(p, size, 0xDF));
        p = opaque(calloc(size, 1));
        CHECK(all(p, size, 0));
        free(p);
    }
    passed("fresh_and_freed_memory_have_their_patterns");
    unsigned char *p = opaque(malloc(100)), *other = opaque(malloc(100));
    free(p);
    free(other);
    for (int i = 0; i < 50; i++) {
        unsigned char *fresh = opaque(malloc(100));
        CHECK(fresh != p && fresh != other);
    }
    p[99] = 0;
    passed("a_freed_block_is_not_reused_at_once");
    return 0;
}
