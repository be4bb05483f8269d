// C++'s operators in each form, 1,000 times each, and one that throws.
#include <cstddef>
#include <cstdio>
#include <new>

struct alignas(64) Wide {
    char bytes[1152];
};
struct Plain {
    char bytes[1021];
};

static volatile std::size_t huge = std::size_t(-1) / 4;

int main()
{
    for (int i = 0; i < 1000; i++) {
        Plain *volatile one = new Plain;
        delete one;
        Plain *volatile many = reinterpret_cast<Plain *>(new char[1022]);
        delete[] reinterpret_cast<char *>(many);
        Plain *volatile quiet = new (std::nothrow) Plain[2];
        delete[] quiet;
        Wide *volatile wide = new Wide;
        delete wide;
    }
    if (new (std::nothrow) char[huge]) return 2;
    try {
        char *volatile block = new char[huge];
        delete[] block;
        return 1;
    } catch (const std::bad_alloc &) {
        std::puts("caught");
    }
}
