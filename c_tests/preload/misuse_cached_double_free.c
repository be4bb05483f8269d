// A block of a size in demand, freed twice.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    put_in_demand(40);
    void *p = malloc(40);
    free(p);
    misused(p);
    free(opaque(p));
    return 0;
}
