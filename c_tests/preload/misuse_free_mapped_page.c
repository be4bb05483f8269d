// A page of mmap, below the heap.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "check.h"
#include <sys/mman.h>

int main(void) {
    free(malloc(10));
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    misused(p);
    free(opaque(p));
    return 0;
}
