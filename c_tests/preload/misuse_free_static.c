// A static array.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "check.h"

int main(void) {
    static long fixed[8];
    free(malloc(10));
    misused(&fixed[2]);
    free(opaque(&fixed[2]));
    return 0;
}
