// malloc_usable_size of a freed block.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"
#include <malloc.h>

int main(void) {
    char *p = malloc(40), *guard = malloc(40);
    free(p);
    misused(p);
    CHECK(malloc_usable_size(opaque(p)) == 0);
    free(guard);
    return 0;
}
