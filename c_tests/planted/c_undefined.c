/* Planted: a signed overflow in C. UndefinedBehaviorSanitizer must report it, and end the
 * program. */
#include "../support/suite.h"

#include <limits.h>

__attribute__((noinline)) static int planted_in_c(int number) {
    return number + 1;
}

TEST(planted, c_undefined) {
    volatile int most = INT_MAX;
    volatile int result = planted_in_c(most);
    (void)result;
}
