// The table at exit; mallinfo2, mallopt, malloc_trim, malloc_stats.
// env: MEMOMAN_STATS=1
// env: MEMOMAN_LOCK=1
// expect-stderr: memoman: allocations
// expect-stderr: memoman: peak bytes
#include "check.h"
#include <malloc.h>

int main(void) {
    struct mallinfo2 before = mallinfo2();
    char *p = malloc(1 << 20);
    CHECK(p);
    struct mallinfo2 with = mallinfo2();
    CHECK(with.uordblks - before.uordblks >= 1 << 20 &&
          with.uordblks - before.uordblks < (1 << 20) + 70000);
    CHECK(with.uordblks + with.fordblks <= with.arena && with.usmblks >= with.uordblks);
    free(p);
    CHECK(mallinfo2().uordblks == before.uordblks && mallinfo2().usmblks >= with.uordblks);
    passed("mallinfo2_tells_the_truth");
    CHECK(mallopt(M_MMAP_THRESHOLD, 1000) == 1);
    malloc_stats();
    passed("mallopt_and_malloc_stats");
    return 0;
}
