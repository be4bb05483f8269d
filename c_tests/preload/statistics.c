// The table at exit; mallinfo2, mallopt, malloc_trim, malloc_stats.
// env: MEMOMAN_STATS=1
// env: MEMOMAN_LOCK=1
// expect-stderr: memoman: statistics, process *
// expect-stderr: memoman: allocations
// expect-stderr: memoman: peak bytes
#include "check.h"
#include <malloc.h>

int main(void) {
    struct mallinfo2 before = mallinfo2();
    char *p = malloc(1 << 20);
    CHECK(p);
    struct mallinfo2 with = mallinfo2();
    size_t used_before = before.uordblks + before.hblkhd, used = with.uordblks + with.hblkhd;
    CHECK(used - used_before >= 1 << 20 && used - used_before < (1 << 20) + 70000);
    CHECK(with.uordblks + with.fordblks <= with.arena && with.usmblks >= used);
    free(p);
    struct mallinfo2 after = mallinfo2();
    CHECK(after.uordblks + after.hblkhd == used_before && after.usmblks >= used);
    passed("mallinfo2_tells_the_truth");
    CHECK(mallopt(M_MMAP_THRESHOLD, 1000) == 1);
    malloc_stats();
    passed("mallopt_and_malloc_stats");
    return 0;
}
