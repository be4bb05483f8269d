// malloc_usable_size of a pointer into the middle of a block.
// expect-signal: SIGABRT
// expect-stderr: memoman: not a live block (or its header is overwritten): POINTER
#include "check.h"
#include <malloc.h>

int main(void) {
    char *p = calloc(1, 400);
    misused(p + 64);
    CHECK(malloc_usable_size(opaque(p + 64)) == 0);
    free(p);
    return 0;
}
