// A C++ program with malloc and free of its own: every form of new and delete leads to them.
#include "check.h"
#include <new>

alignas(16) static char memory[8 << 20];
static std::size_t used = 0;
static volatile int mallocs = 0, frees = 0;

extern "C" void *malloc(std::size_t bytes) noexcept {
    if (bytes >= std::size_t{1} << 30) return nullptr;
    mallocs = mallocs + 1;
    char *block = memory + used;
    used += (bytes + 15) & ~std::size_t{15};
    if (used > sizeof memory) _exit(8);
    return block;
}

extern "C" void free(void *pointer) noexcept {
    if (!pointer) return;
    char *at = static_cast<char *>(pointer);
    if (at < memory || at >= memory + sizeof memory) _exit(9);
    frees = frees + 1;
}

extern "C" void *calloc(std::size_t count, std::size_t size) noexcept {
    return malloc(count * size);
}

static int handled = 0;
static void handler() {
    if (++handled == 3) std::set_new_handler(nullptr);
}

int main() {
    int before = mallocs, freed = frees;
    for (int i = 0; i < 100; i++) {
        ::operator delete(::operator new(100));
        ::operator delete(::operator new(100), std::size_t{100});
        ::operator delete(::operator new(100, std::nothrow), std::nothrow);
        ::operator delete[](::operator new[](100));
        ::operator delete[](::operator new[](100), std::size_t{100});
        ::operator delete[](::operator new[](100, std::nothrow), std::nothrow);
        free(::operator new(100));
        ::operator delete(malloc(100), std::align_val_t{16});
    }
    CHECK(mallocs == before + 800 && frees == freed + 800);
    passed("operators_call_the_programs_malloc_and_free");
    volatile std::size_t huge = std::size_t{1} << 40;
    int thrown = 0;
    std::set_new_handler(handler);
    try {
        CHECK(::operator new(huge) == nullptr && !"returned");
    } catch (const std::bad_alloc &) {
        thrown++;
    }
    CHECK(thrown == 1 && handled == 3);
    CHECK(::operator new[](huge, std::nothrow) == nullptr);
    passed("new_handler_runs_when_the_programs_malloc_fails");
    return 0;
}
