/* Planted: Rust writes past the end of a buffer. AddressSanitizer must report it: the Rust side is
 * instrumented. */
#include "../support/suite.h"

void mm_planted_overflow(unsigned char *buffer, size_t size);

TEST(planted, rust_overflow) {
    mm_planted_overflow(suite_memory(16, 100), 100);
}
