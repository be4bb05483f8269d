// A misspelt variable of the debug library is named and ignored.
// env: MM_DEBUG_STAK=3
// expect-stderr: memoman: MM_DEBUG_STAK ignored: the variables are MEMOMAN_RESERVE, *MM_DEBUG_STACK
#include "../../preload/check.h"

int main(void) {
    CHECK(opaque(malloc(10)));
    passed("a_misspelt_variable_is_named");
    return 0;
}
