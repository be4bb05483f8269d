// malloc_usable_size of an array on the stack.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "check.h"
#include <malloc.h>

int main(void) {
    long local[8] = {0};
    free(malloc(10));
    misused(&local[2]);
    CHECK(malloc_usable_size(opaque(&local[2])) == 0);
    return 0;
}
