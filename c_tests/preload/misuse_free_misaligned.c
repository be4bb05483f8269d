// Misuse: one line on stderr, and SIGABRT.
// expect-signal: SIGABRT
// expect-stderr: memoman: misaligned pointer
#include "check.h"

int main(void) {
    char *p = malloc(400);
    passed("free_of_a_misaligned_address_is_fatal");
    free(opaque(p + 1));
    return 0;
}
