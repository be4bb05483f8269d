// delete of a block from new[].
// expect-signal: SIGABRT
// expect-stderr: memoman: freed by the wrong function: delete of a block from new[]: 0x
// expect-stderr: block of 40 bytes allocated at SITE
#include <cstdio>

int main() {
    std::puts("ok H before_the_delete");
    std::fflush(stdout);
    int *volatile array = new int[10];
    delete array;
    return 0;
}
