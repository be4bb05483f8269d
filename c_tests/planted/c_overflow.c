/* Planted: C writes one byte past the end of its buffer. AddressSanitizer must report it. */
#include "../support/suite.h"

__attribute__((noinline)) static void planted_in_c(volatile char *buffer, size_t size) {
    buffer[size] = 1;
}

TEST(planted, c_overflow) {
    planted_in_c(suite_memory(16, 100), 100);
}
