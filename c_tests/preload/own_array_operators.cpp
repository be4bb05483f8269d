// A program that replaces the array forms and the aligned forms only: what derives from them leads
// there, and what does not keeps its meaning.
#include "check.h"
#include <cstdint>
#include <new>

#pragma GCC diagnostic ignored "-Wsized-deallocation"

static int arrays = 0, array_deletes = 0, aligned = 0, aligned_deletes = 0;

void *operator new[](std::size_t bytes) {
    arrays++;
    return static_cast<char *>(std::malloc(bytes + 16)) + 16;
}

void operator delete[](void *pointer) noexcept {
    array_deletes++;
    std::free(static_cast<char *>(pointer) - 16);
}

void *operator new(std::size_t bytes, std::align_val_t align) {
    aligned++;
    std::size_t gap = static_cast<std::size_t>(align);
    return static_cast<char *>(std::aligned_alloc(gap, bytes + gap)) + gap;
}

void operator delete(void *pointer, std::align_val_t align) noexcept {
    aligned_deletes++;
    std::free(static_cast<char *>(pointer) - static_cast<std::size_t>(align));
}

int main() {
    for (int i = 0; i < 100; i++) {
        ::operator delete[](::operator new[](100), std::size_t{100});
        ::operator delete[](::operator new[](100, std::nothrow), std::nothrow);
    }
    CHECK(arrays == 200 && array_deletes == 200);
    passed("array_operators_call_the_programs");
    auto align = std::align_val_t{128};
    for (int i = 0; i < 100; i++) {
        void *p = ::operator new[](100, align);
        CHECK(reinterpret_cast<std::uintptr_t>(p) % 128 == 0);
        ::operator delete[](p, align);
        ::operator delete(::operator new(100, align, std::nothrow), align, std::nothrow);
        ::operator delete(::operator new(100, align), std::size_t{100}, align);
        p = ::operator new[](100, align, std::nothrow);
        ::operator delete[](p, std::size_t{100}, align);
        p = ::operator new[](100, align);
        ::operator delete[](p, align, std::nothrow);
    }
    CHECK(aligned == 500 && aligned_deletes == 500);
    passed("aligned_operators_call_the_programs");
    for (int i = 0; i < 100; i++) {
        ::operator delete(::operator new(100));
        ::operator delete(::operator new(100), std::size_t{100});
        std::free(::operator new(100, std::nothrow));
    }
    CHECK(arrays == 200 && array_deletes == 200 && aligned == 500 && aligned_deletes == 500);
    passed("other_operators_do_not");
    return 0;
}
