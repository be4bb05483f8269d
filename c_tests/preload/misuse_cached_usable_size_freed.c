// malloc_usable_size of a freed block of a size in demand.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"
#include <malloc.h>

int main(void) {
    put_in_demand(40);
    void *p = malloc(40);
    free(p);
    misused(p);
    CHECK(malloc_usable_size(opaque(p)) == 0);
    return 0;
}
