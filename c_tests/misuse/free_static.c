// A static array.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "misuse.h"

static void misuse(void) {
    static unsigned char fixed[128] __attribute__((aligned(16)));
    REFUSED(fixed + 64, mm_free(heap, fixed + 64));
}
