// A small number where a pointer should be.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "check.h"

int main(void) {
    free(malloc(10));
    misused((void *)0x10);
    free(opaque((void *)0x10));
    return 0;
}
