// Misuse: one line on stderr, and SIGABRT.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool
#include "check.h"

int main(void) {
    free(malloc(10));
    passed("free_of_a_wild_address_is_fatal");
    free(opaque((void *)0x10));
    return 0;
}
