// A page of mmap.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include <sys/mman.h>
#include "misuse.h"

static void misuse(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    REFUSED(p, mm_free(heap, p));
}
