// A fixed reserve: requests are served until it is used up, then refused with ENOMEM, and served
// again after frees.
// env: MEMOMAN_RESERVE=8M
// env: MEMOMAN_GROW=0
#include "check.h"
#include <malloc.h>

int main(void) {
    struct mallinfo2 start = mallinfo2();
    CHECK(start.arena >= 8 << 20 && start.arena < 9 << 20);
    passed("reserve_is_the_first_pool");
    CHECK(resident() > 8 << 20);
    passed("reserve_is_prefaulted");
    for (int round = 0; round < 5; round++) {
        void *blocks[8192];
        int count = 0;
        errno = 0;
        while (count < 8192 && (blocks[count] = malloc(4000)) != NULL)
            memset(blocks[count++], 1, 4000);
        CHECK(errno == ENOMEM && count > 1900 && count < 2200);
        errno = 0;
        CHECK(malloc(16 << 20) == NULL && errno == ENOMEM);
        free(blocks[--count]);
        void *again = malloc(4000);
        CHECK(again);
        free(again);
        while (count > 0) free(blocks[--count]);
    }
    CHECK(mallinfo2().arena == start.arena);
    passed("exhaustion_and_service_again");
    return 0;
}
