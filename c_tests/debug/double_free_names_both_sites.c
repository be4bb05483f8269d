// A double free says where the block came from and who freed it first.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
// debug-detail: memoman:   block of 48 bytes allocated at 0x* (double_free_names_both_sites+0x*), freed at 0x* (double_free_names_both_sites+0x*); allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    give(p);
    REFUSED(p, mm_free(heap, p));
}
