// A write into a freed block, found when a request drains the quarantine for lack of memory.
// expect-signal: SIGABRT
// expect-stderr: memoman: write after free: POINTER
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    give(p);
    smash(p + 47, 1, 0);
    mm_stats_t stats = stats_of(heap);
    REFUSED(p, CHECK(mm_malloc(heap, stats.largest + 16) == NULL));
}
