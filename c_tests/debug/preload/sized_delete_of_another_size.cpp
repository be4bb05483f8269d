// Sized operator delete with a size that was not requested.
// expect-signal: SIGABRT
// expect-stderr: memoman: freed with another size than requested: 0x
// expect-stderr: block of 40 bytes allocated at SITE
#include <cstdio>
#include <new>
#include <vector>

struct ends {
    ~ends() { count++; }
    int value = 0;
    static int count;
};
int ends::count = 0;

int main() {
    // An array with its number of elements before it, an empty one, a container.
    ends *volatile array = new ends[3];
    delete[] array;
    int *volatile none = new int[0];
    delete[] none;
    void *volatile nothing = ::operator new(0);
    ::operator delete(nothing, std::size_t(0));
    std::vector<int>(100, 1).resize(1000);
    std::puts("ok H sized_delete_of_the_requested_size_frees");
    std::fflush(stdout);
    void *volatile block = ::operator new(40);
    ::operator delete(block, std::size_t(48));
    return 0;
}
