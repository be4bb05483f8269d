// A block that is never freed: its overflow is found at exit.
// expect-signal: SIGABRT
// expect-stderr: memoman: write past the end of the block (overflow): 0x
// expect-stderr: block of 48 bytes allocated at SITE
#include "../../preload/check.h"

int main(void) {
    char *p = opaque(malloc(48));
    p[48] = 'A';
    passed("an_overflow_of_a_block_never_freed_is_found_at_exit");
    return 0;
}
