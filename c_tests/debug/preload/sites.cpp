// Operators new and delete: the sites are the program's, not the operator's.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: 0x
// expect-stderr: block of 40 bytes allocated at SITE, freed at SITE
#include <cstdio>
#include <new>

int main() {
    // A block from `new` in this function is reported as allocated in this program.
    int *p = new int[10];
    std::puts("ok H operator_new_has_the_callers_site");
    std::fflush(stdout);
    int *volatile q = p;
    delete[] q;
    delete[] q;
    return 0;
}
