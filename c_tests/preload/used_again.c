// A program that frees everything and allocates as much again uses the pages that it had, not new
// ones: its memory lies in several regions, and the newest one was hardly used.
#include "check.h"

enum { COUNT = 20000, MOST = 512 << 10 };

static void *blocks[COUNT];

int main(void) {
    uint64_t state = 88172645463325252u;
    size_t first = 0, now = 0;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < COUNT; i++) {
            size_t bytes = 16 + random_next(&state) % 240;
            blocks[i] = malloc(bytes);
            CHECK(blocks[i] != NULL);
            memset(blocks[i], 1, bytes);
        }
        now = resident();
        if (round == 0) first = now;
        for (int i = COUNT - 1; i > 0; i--) {
            int at = (int)(random_next(&state) % (i + 1));
            void *other = blocks[i];
            blocks[i] = blocks[at], blocks[at] = other;
        }
        for (int i = 0; i < COUNT; i++) free(blocks[i]);
    }
    if (now > first + MOST) printf("%zu bytes, then %zu\n", first, now);
    CHECK(now <= first + MOST);
    passed("used_memory_is_used_again");
    return 0;
}
