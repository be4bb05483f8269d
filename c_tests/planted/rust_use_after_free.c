/* Planted: Rust reads a buffer that C has freed. AddressSanitizer must report it. */
#include "../support/suite.h"

unsigned char mm_planted_read(const unsigned char *place);

TEST(planted, rust_use_after_free) {
    unsigned char *buffer = malloc(100);
    CHECK(buffer != NULL);
    uintptr_t address = (uintptr_t)buffer;
    free(buffer);
    (void)mm_planted_read((const unsigned char *)address);
}
