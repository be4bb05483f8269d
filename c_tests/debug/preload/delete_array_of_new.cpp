// delete[] of a block from new, with an alignment.
// expect-signal: SIGABRT
// expect-stderr: memoman: freed by the wrong function: delete[] of a block from new: 0x
// expect-stderr: block of 40 bytes allocated at SITE
#include <cstdio>
#include <new>

int main() {
    void *volatile block = ::operator new(40, std::align_val_t(64));
    std::puts("ok H delete_array_of_a_block_from_new");
    std::fflush(stdout);
    ::operator delete[](block, std::align_val_t(64));
    return 0;
}
