/* The reader of traces: crates/memoman-trace/src/fuzz.rs makes a file of the input and reads it. */
#include "harness.h"

size_t memoman_fuzz_trace(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t events = memoman_fuzz_trace(data, size);
    (void)events;
#ifdef PLANTED
    CHECK(events < 20);
#endif
    return 0;
}
