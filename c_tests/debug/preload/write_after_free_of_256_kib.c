// A write into a large block after its free, as the first block of the process: found at exit.
// expect-signal: SIGABRT
// expect-stderr: memoman: write after free: 0x
// expect-stderr: memoman:   first overwritten byte: 0x*, 100 bytes into the block, is now 0x41
// expect-stderr: block of 262144 bytes allocated at SITE, freed at SITE
#include "../../preload/check.h"

int main(void) {
    char *p = opaque(malloc(256 << 10));
    free(p);
    ((volatile char *)p)[100] = 'A';
    passed("a_write_after_the_free_of_256_kib");
    return 0;
}
