// Misuse: one line on stderr, and SIGABRT.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free
#include "check.h"

int main(void) {
    char *a = malloc(40), *b = malloc(40), *guard = malloc(40);
    free(a);
    free(b);
    passed("double_free_after_merging_is_fatal");
    free(opaque(b));
    free(guard);
    return 0;
}
