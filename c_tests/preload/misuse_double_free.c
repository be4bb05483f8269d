// Misuse: one line on stderr, and SIGABRT.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free
#include "check.h"

int main(void) {
    char *p = malloc(40), *guard = malloc(40);
    free(p);
    passed("double_free_is_fatal");
    free(opaque(p));
    free(guard);
    return 0;
}
