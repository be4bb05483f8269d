// The block has left quarantine; its record still tells.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
// debug-detail: memoman:   block of 48 bytes allocated at 0x* (double_free_after_quarantine+0x*), freed at 0x* (double_free_after_quarantine+0x*)
#include "../misuse/misuse.h"

static void misuse(void) {
    unsigned char *p = take(48);
    take(48);
    give(p);
    mm_stats_t stats = stats_of(heap);
    CHECK(mm_malloc(heap, stats.pool_bytes - 200) == NULL); /* drains it */
    REFUSED(p, mm_free(heap, p));
}
