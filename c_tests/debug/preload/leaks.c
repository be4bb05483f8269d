// Blocks in use at exit are listed by call site.
// env: MEMOMAN_LEAKS=1
// expect-stderr: memoman: 12345 bytes in 3 blocks allocated at SITE
// expect-stderr: blocks in use at exit
#include "../../preload/check.h"

int main(void) {
    for (int i = 0; i < 3; i++) memset(opaque(malloc(4115)), 0, 4115);
    free(opaque(malloc(777)));
    passed("leaks_are_listed_by_call_site");
    return 0;
}
