// delete of a block from new[].
// expect-signal: SIGABRT
// expect-stderr: memoman: block of new[] freed by delete, or of new by delete[]: 0x
// expect-stderr: block of 40 bytes allocated at SITE
#include <cstdlib>
#include <cstdio>
#include <new>

int main() {
    // malloc and the operators agree: a C++ runtime's operators are calls of malloc and free.
    void *volatile block = std::malloc(40);
    ::operator delete(block);
    block = ::operator new(40);
    std::free(block);
    std::puts("ok H malloc_and_the_operators_agree");
    std::fflush(stdout);
    int *volatile array = new int[10];
    delete array;
    return 0;
}
