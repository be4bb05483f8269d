// A program that replaces derived forms only, over `malloc` and `free`: blocks go from one family
// to the other, which is no misuse.
#include "check.h"
#include <new>

#pragma GCC diagnostic ignored "-Wsized-deallocation"

static int news = 0, deletes = 0;

void *operator new(std::size_t bytes, const std::nothrow_t &) noexcept {
    news++;
    return std::malloc(bytes);
}

void operator delete[](void *pointer, std::size_t) noexcept {
    deletes++;
    std::free(pointer);
}

int main() {
    for (int i = 0; i < 100; i++) {
        ::operator delete(::operator new(100, std::nothrow));
        ::operator delete[](::operator new[](100), std::size_t{100});
    }
    CHECK(news == 100 && deletes == 100);
    passed("derived_operators_are_the_programs");
    return 0;
}
