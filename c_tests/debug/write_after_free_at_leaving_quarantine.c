// A write into a freed block, found when the block leaves quarantine; both sites are named.
// expect-signal: SIGABRT
// expect-stderr: memoman: write after free: POINTER
// debug-detail: memoman:   first overwritten byte: 0x*, 20 bytes into the block, is now 0x0
// debug-detail: memoman:   block of 48 bytes allocated at SITE, freed at SITE; allocation number 1
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    void *others[4];
    for (int i = 0; i < 4; i++) others[i] = mm_malloc(heap, 1800);
    give(p);
    smash(p + 20, 1, 0);
    /* The quarantine holds a quarter of the pool: three of these and p, but not four. */
    for (int i = 0; i < 3; i++) mm_free(heap, others[i]);
    CHECK(reports == 0);
    REFUSED(p, mm_free(heap, others[3]));
    if (returns) mm_free(heap, others[3]);
}
