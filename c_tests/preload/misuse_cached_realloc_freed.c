// A freed block of a size in demand, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    put_in_demand(40);
    void *p = malloc(40);
    free(p);
    misused(p);
    p = realloc(opaque(p), 100);
    free(p);
    return 0;
}
