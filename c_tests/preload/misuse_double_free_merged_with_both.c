// Freed again after it was merged with free blocks on both sides.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    char *a = malloc(40), *b = malloc(40), *c = malloc(40), *guard = malloc(40);
    free(a);
    free(c);
    free(b);
    misused(b);
    free(opaque(b));
    free(guard);
    return 0;
}
