/* The reader of firmware's records, which `memoman import` makes a trace of. */
#include "harness.h"

size_t memoman_fuzz_records(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t events = memoman_fuzz_records(data, size);
    (void)events;
#ifdef PLANTED
    CHECK(events < 20);
#endif
    return 0;
}
