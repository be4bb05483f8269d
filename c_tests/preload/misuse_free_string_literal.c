// A string literal.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "check.h"

int main(void) {
    free(malloc(10));
    void *p = (void *)(uintptr_t)"never allocated, and read-only";
    misused(p);
    free(opaque(p));
    return 0;
}
