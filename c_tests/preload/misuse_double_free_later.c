// Freed again after other blocks were allocated and freed.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    char *p = malloc(40), *guard = malloc(40);
    free(p);
    for (size_t bytes = 200; bytes < 2000; bytes += 100) free(opaque(malloc(bytes)));
    misused(p);
    free(opaque(p));
    free(guard);
    return 0;
}
