// A growing buffer keeps little memory, in a small heap and in a large one: its former
// places return to the system.
#include "check.h"

static void grow(size_t most) {
    size_t start = resident();
    char *buffer = NULL;
    for (size_t bytes = 1 << 20; bytes < most; bytes += bytes / 2) {
        buffer = realloc(buffer, bytes);
        CHECK(buffer);
        memset(buffer, 1, bytes);
        CHECK(resident() < start + bytes + bytes / 16 + (4 << 20));
    }
    free(buffer);
    CHECK(resident() < start + (6 << 20));
}

int main(void) {
    free(malloc(100));
    grow((size_t)64 << 20);
    passed("a_buffer_that_grows_keeps_little");

    enum { OTHERS = 100 };
    char *others[OTHERS];
    for (int i = 0; i < OTHERS; i++) {
        others[i] = malloc(1 << 20);
        CHECK(others[i]);
        memset(others[i], 1, 1 << 20);
    }
    grow((size_t)24 << 20);
    for (int i = 0; i < OTHERS; i++) free(others[i]);
    passed("a_buffer_that_grows_in_a_large_heap_keeps_little");
    return 0;
}
