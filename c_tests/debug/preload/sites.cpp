// Operators new and delete: the sites are the program's, not the operator's.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: 0x
// expect-stderr: block of 40 bytes allocated at 0x* (sites_cpp+0x*), freed at 0x* (sites_cpp+0x*)
#include <cstdio>
#include <new>

int main() {
    // What is allocated by new in this very function is reported as allocated in this program.
    int *p = new int[10];
    std::puts("ok H operator_new_has_the_callers_site");
    std::fflush(stdout);
    int *volatile q = p;
    delete[] q;
    delete[] q;
    return 0;
}
