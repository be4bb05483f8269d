// operator delete, twice.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"
#include <new>

int main(void) {
    char *p = static_cast<char *>(::operator new(40)),
         *guard = static_cast<char *>(::operator new(40));
    ::operator delete(p);
    misused(p);
    ::operator delete(opaque(p));
    ::operator delete(guard);
    return 0;
}
