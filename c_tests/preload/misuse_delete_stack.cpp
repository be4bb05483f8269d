// operator delete of an array on the stack.
// expect-signal: SIGABRT
// expect-stderr: memoman: pointer outside every pool: POINTER
#include "check.h"
#include <new>

int main(void) {
    alignas(16) char local[64] = {0};
    ::operator delete(::operator new(40));
    misused(local + 16);
    ::operator delete(opaque(local + 16));
    return 0;
}
