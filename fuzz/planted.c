/* The self-test of `make fuzz`: a bug in the Rust library behind four bytes, each with a branch of
 * its own. Only a fuzzer that sees the branches of the Rust side, with an AddressSanitizer that
 * watches its writes, finds it. */
#include "harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned char *copy = malloc(size);
    if (!copy) return 0;
    memcpy(copy, data, size);
    mm_planted_word(copy, size);
    free(copy);
    return 0;
}
