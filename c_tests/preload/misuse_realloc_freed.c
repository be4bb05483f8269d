// Misuse: one line on stderr, and SIGABRT.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free
#include "check.h"

int main(void) {
    char *p = malloc(40), *guard = malloc(40);
    free(p);
    passed("realloc_of_a_freed_block_is_fatal");
    p = realloc(opaque(p), 100);
    free(guard);
    return 0;
}
