// Misuse: one line on stderr, and SIGABRT.
// expect-signal: SIGABRT
// expect-stderr: memoman: free-list link overwritten
#include "check.h"

int main(void) {
    long *a = malloc(40), *b = malloc(40), *guard = malloc(40);
    free(b);
    ((long *)opaque(b))[0] = 0x10;
    passed("write_after_free_is_fatal_at_the_next_use");
    free(a);
    free(guard);
    return 0;
}
