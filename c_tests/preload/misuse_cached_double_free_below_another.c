// A block of a size in demand, freed twice, with another block freed in between.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    put_in_demand(40);
    void *p = malloc(40), *q = malloc(40);
    free(p);
    free(q);
    misused(p);
    free(opaque(p));
    return 0;
}
