// Misuse: one line on stderr, and SIGABRT.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool
#include "check.h"

int main(void) {
    long local[8] = {0};
    free(malloc(10));
    passed("free_of_a_stack_address_is_fatal");
    free(opaque(&local[2]));
    return 0;
}
