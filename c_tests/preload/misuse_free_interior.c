// Misuse: one line on stderr, and SIGABRT.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block
#include "check.h"

int main(void) {
    char *p = calloc(1, 400);
    passed("free_of_an_interior_address_is_fatal");
    free(opaque(p + 32));
    return 0;
}
