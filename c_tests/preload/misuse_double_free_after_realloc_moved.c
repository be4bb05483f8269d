// The old address, freed after realloc moved the block.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    char *p = malloc(40), *guard = malloc(40), *moved = realloc(p, 1000);
    CHECK(moved != p);
    misused(p);
    free(opaque(p));
    free(guard);
    return 0;
}
