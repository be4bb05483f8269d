// A heap profiler's library before the shim sees the calls of every form of new and delete.
// library: counter.c
#include "check.h"
#include <dlfcn.h>
#include <new>

int main(int count, char **arguments) {
    if (count == 1) {
        const char *shim = getenv("LD_PRELOAD");
        char both[4096];
        CHECK(shim);
        snprintf(both, sizeof both, "./counter.so:%s", shim);
        setenv("LD_PRELOAD", both, 1);
        execl("/proc/self/exe", arguments[0], "again", static_cast<char *>(nullptr));
        return 1;
    }
    auto *mallocs = static_cast<volatile unsigned *>(dlsym(RTLD_DEFAULT, "counter_mallocs"));
    auto *frees = static_cast<volatile unsigned *>(dlsym(RTLD_DEFAULT, "counter_frees"));
    CHECK(mallocs && frees);
    unsigned malloced = *mallocs, freed = *frees;
    for (int i = 0; i < 100; i++) {
        ::operator delete(::operator new(100));
        ::operator delete(::operator new(100), std::size_t{100});
        ::operator delete(::operator new(100, std::nothrow), std::nothrow);
        ::operator delete[](::operator new[](100));
        ::operator delete[](::operator new[](100), std::size_t{100});
        ::operator delete[](::operator new[](100, std::nothrow), std::nothrow);
        free(malloc(100));
    }
    CHECK(*mallocs == malloced + 700 && *frees == freed + 700);
    passed("a_profiler_sees_operators");
    return 0;
}
