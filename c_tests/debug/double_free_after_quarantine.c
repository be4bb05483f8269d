// A double free of a block that has left quarantine: its record is still reported.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
// debug-detail: memoman:   block of 48 bytes allocated at SITE, freed at SITE
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    take(48);
    give(p);
    mm_stats_t stats = stats_of(heap);
    CHECK(mm_malloc(heap, stats.pool_bytes - 200) == NULL); /* empties the quarantine */
    REFUSED(p, mm_free(heap, p));
}
