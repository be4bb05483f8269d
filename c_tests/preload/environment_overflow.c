// A reserve beyond the address space is malformed too.
// env: MEMOMAN_RESERVE=99999999999G
// expect-stderr: memoman: MEMOMAN_RESERVE=99999999999G ignored
#include "check.h"

int main(void) {
    free(malloc(10));
    passed("overflowing_reserve_is_named_and_ignored");
    return 0;
}
