// Freed after realloc to 0 bytes has freed it.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    char *p = malloc(40), *guard = malloc(40);
    CHECK(realloc(p, opaque(NULL) != NULL) == NULL);
    misused(p);
    free(opaque(p));
    free(guard);
    return 0;
}
