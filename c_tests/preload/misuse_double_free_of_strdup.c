// A string of the C library's strdup, freed twice.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    char *p = strdup("a string"), *guard = malloc(40);
    free(p);
    misused(p);
    free(opaque(p));
    free(guard);
    return 0;
}
