// Memory returns to the system after frees, and by malloc_trim.
#include "check.h"
#include <malloc.h>

int main(void) {
    free(malloc(100));
    size_t start = resident();
    for (int round = 0; round < 3; round++) {
        char *blocks[6];
        for (int i = 0; i < 6; i++) {
            blocks[i] = malloc(50 << 20);
            CHECK(blocks[i]);
            memset(blocks[i], 1, 50 << 20);
        }
        CHECK(resident() > start + ((size_t)250 << 20));
        for (int i = 0; i < 6; i++) free(blocks[i]);
        CHECK(resident() < start + (8 << 20));
    }
    passed("large_blocks_go_back_when_freed");

    static char *small[200000];
    /* A buffer that comes and goes is kept, until small blocks need memory. */
    for (int round = 0; round < 4; round++) {
        char *buffer = malloc(16 << 20);
        CHECK(buffer);
        for (size_t i = 0; i < 16 << 20; i += 4096) ((volatile char *)buffer)[i] = 1;
        free(buffer);
    }
    for (int i = 0; i < 160000; i++) {
        small[i] = malloc(100);
        memset(small[i], 1, 100);
    }
    CHECK(resident() < start + (20 << 20));
    for (int i = 0; i < 160000; i++) free(small[i]);
    passed("a_growing_heap_takes_the_place_of_a_kept_mapping");

    for (int i = 0; i < 200000; i++) {
        small[i] = malloc(500);
        memset(small[i], 1, 500);
    }
    CHECK(resident() > start + (80 << 20));
    for (int i = 0; i < 200000; i++) free(small[i]);
    CHECK(resident() < start + (16 << 20));
    passed("small_blocks_go_back_when_their_pools_are_empty");

    for (int i = 0; i < 200000; i++) {
        small[i] = malloc(500);
        memset(small[i], 1, 500);
    }
    /* One block in a thousand stays: no pool is empty. */
    for (int i = 0; i < 200000; i++)
        if (i % 1000 != 0) free(small[i]);
    size_t holed = resident();
    CHECK(malloc_trim(0) == 1);
    CHECK(resident() < holed / 2);
    for (int i = 0; i < 200000; i += 1000) {
        CHECK(small[i][0] == 1 && small[i][499] == 1);
        free(small[i]);
    }
    passed("malloc_trim_gives_back_what_lies_between_blocks");

    size_t before = resident();
    for (int i = 0; i < 500; i++) {
        small[i] = calloc(1, 66000 + (size_t)i * 450);
        CHECK(small[i] && small[i][33000] == 0);
        small[i][33000] = 1;
    }
    CHECK(resident() < before + (8 << 20));
    for (int i = 0; i < 500; i++) free(small[i]);
    char *again = calloc(1, 200000);
    for (int i = 0; i < 200000; i++) CHECK(again[i] == 0);
    free(again);
    passed("calloc_of_fresh_pages_touches_none");
    return 0;
}
