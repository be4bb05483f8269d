// An array on the stack.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "check.h"

int main(void) {
    long local[8] = {0};
    free(malloc(10));
    misused(&local[2]);
    free(opaque(&local[2]));
    return 0;
}
