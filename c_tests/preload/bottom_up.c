// Where the system hands out addresses upward, the heap's memory does not climb as blocks come and
// go.
#include "check.h"
#include <sys/personality.h>

enum { BLOCKS = 100000, BYTES = 1000, ROUNDS = 10 };

static char *blocks[BLOCKS];

int main(int count, char **arguments) {
    (void)count;
    int now = personality(0xffffffff);
    if (!(now & ADDR_COMPAT_LAYOUT)) {
        if (personality((unsigned long)now | ADDR_COMPAT_LAYOUT) < 0) {
            skipped("regions_do_not_climb", "personality is forbidden");
            return 0;
        }
        execv("/proc/self/exe", arguments);
        CHECK(!"execv");
    }
    uintptr_t first = 0, last = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uintptr_t highest = 0;
        for (int i = 0; i < BLOCKS; i++) {
            blocks[i] = malloc(BYTES);
            CHECK(blocks[i] != NULL);
            if ((uintptr_t)blocks[i] > highest) highest = (uintptr_t)blocks[i];
        }
        for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
        if (round == 0) first = highest;
        last = highest;
    }
    // 256 MiB below the library, and the program's 100 MB above what is there.
    CHECK(last < first + (512u << 20));
    passed("regions_do_not_climb");
    return 0;
}
