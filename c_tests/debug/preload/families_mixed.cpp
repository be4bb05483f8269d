// With MM_DEBUG_FAMILIES=0, functions of one family free blocks of another; sizes are compared.
// env: MM_DEBUG_FAMILIES=0
// expect-signal: SIGABRT
// expect-stderr: memoman: freed with another size than requested: 0x
#include <cstdio>
#include <cstdlib>
#include <new>

int main() {
    void *volatile block = std::malloc(40);
    ::operator delete(block);
    block = ::operator new(40);
    std::free(block);
    block = ::operator new[](40);
    ::operator delete(block);
    block = ::operator new(40);
    block = std::realloc(block, 80);
    std::free(block);
    std::puts("ok H families_mixed");
    std::fflush(stdout);
    block = std::malloc(40);
    ::operator delete(block, 39);
    return 0;
}
