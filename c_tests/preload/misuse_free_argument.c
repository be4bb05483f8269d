// A string of the environment, which lies on the stack.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "check.h"

int main(void) {
    free(malloc(10));
    misused(environ[0]);
    free(opaque(environ[0]));
    return 0;
}
