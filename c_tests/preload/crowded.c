// More large blocks than the system has entries for mappings, and their holes.
#include "check.h"
#include <malloc.h>

enum { BLOCKS = 90000, BYTES = 270000 };

/* Entries in the process's table of mappings. */
static long mappings(void) {
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file);
    long lines = 0;
    for (int c; (c = fgetc(file)) != EOF;) lines += c == '\n';
    fclose(file);
    return lines;
}

int main(void) {
    static char *blocks[BLOCKS];
    free(malloc(100));
    long before = mappings();
    size_t used = IN_USE();
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BYTES);
        CHECK(blocks[i]);
        memcpy(blocks[i], &i, sizeof i);
    }
    CHECK(IN_USE() >= used + (size_t)BLOCKS * BYTES);
    /* Each hole takes an entry. glibc maps at most 65,536 blocks, so that it has 32,768 of them. */
    for (int i = 0; i < BLOCKS; i += 2) free(blocks[i]);
    CHECK(mappings() < before + 32768);
    passed("holes_between_large_blocks_take_bounded_mappings");

    for (int i = 1; i < BLOCKS; i += 2) {
        CHECK(memcmp(blocks[i], &i, sizeof i) == 0);
        free(blocks[i]);
    }
    CHECK(mappings() < before + 100 && IN_USE() < used + 100000);
    passed("all_mappings_go_when_the_blocks_are_free");
    return 0;
}
