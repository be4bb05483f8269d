// A freed block, resized.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    char *p = malloc(40), *guard = malloc(40);
    free(p);
    misused(p);
    p = realloc(opaque(p), 100);
    free(guard);
    return 0;
}
