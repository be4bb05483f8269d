// A block with a region of its own, which is kept as a spare, freed twice.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    char *p = malloc(1 << 20), *guard = malloc(40);
    free(p);
    misused(p);
    free(opaque(p));
    free(guard);
    return 0;
}
