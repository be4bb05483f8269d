// Every function of the family records its caller: no site lies in the shim.
// env: MEMOMAN_LEAKS=1
// expect-stderr: memoman: 4001 bytes in 1 blocks allocated at SITE
// expect-stderr: memoman: 4002 bytes in 1 blocks allocated at SITE
// expect-stderr: memoman: 4003 bytes in 1 blocks allocated at SITE
// expect-stderr: memoman: 4004 bytes in 1 blocks allocated at SITE
// expect-stderr: memoman: 4005 bytes in 1 blocks allocated at SITE
// expect-stderr: memoman: 4006 bytes in 1 blocks allocated at SITE
// expect-stderr: memoman: 4007 bytes in 1 blocks allocated at SITE
// expect-stderr: memoman: 4008 bytes in 1 blocks allocated at SITE
// expect-stderr: memoman: 8192 bytes in 1 blocks allocated at SITE
// expect-stderr: memoman: 4010 bytes in 1 blocks allocated at SITE
#include "../../preload/check.h"
#include <malloc.h>

int main(void) {
    void *p = NULL;
    CHECK(opaque(malloc(4001)));
    CHECK(opaque(calloc(1, 4002)));
    CHECK(opaque(realloc(NULL, 4003)));
    CHECK(opaque(realloc(opaque(malloc(10)), 4004)));
    CHECK(posix_memalign(&p, 64, 4005) == 0);
    CHECK(opaque(aligned_alloc(64, 4006)));
    CHECK(opaque(memalign(128, 4007)));
    CHECK(opaque(valloc(4008)));
    CHECK(opaque(pvalloc(4097)));
    CHECK(opaque(reallocarray(NULL, 10, 401)));
    passed("every_function_records_its_caller");
    return 0;
}
