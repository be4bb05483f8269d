// A block of posix_memalign, freed twice.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"

int main(void) {
    void *p, *guard;
    CHECK(posix_memalign(&p, 256, 100) == 0 && posix_memalign(&guard, 64, 100) == 0);
    free(p);
    misused(p);
    free(opaque(p));
    free(guard);
    return 0;
}
