// Malformed variables are named in one line each and ignored.
// env: MEMOMAN_RESERVE=12Q
// env: MEMOMAN_GROW=maybe
// env: MEMOMAN_LOCK=
// env: MEMOMAN_STATS=2
// expect-stderr: memoman: MEMOMAN_RESERVE=12Q ignored: expected bytes, or a number with K, M or G
// expect-stderr: memoman: MEMOMAN_GROW=maybe ignored: expected 0 or 1
// expect-stderr: memoman: MEMOMAN_LOCK= ignored: expected 0 or 1
// expect-stderr: memoman: MEMOMAN_STATS=2 ignored: expected 0, 1, or a path with a slash
#include "check.h"

int main(void) {
    char *p = malloc(32 << 20);
    CHECK(p);
    free(p);
    passed("malformed_environment_is_named_and_ignored");
    return 0;
}
