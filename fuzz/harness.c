#include "harness.h"

#include <stdarg.h>

void suite_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "FOUND: %s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

/* The targets have memory of their own: they call no helper of heap.c that would allocate. */
void *suite_memory(size_t align, size_t bytes) {
    suite_fail(__FILE__, __LINE__, "suite_memory(%zu, %zu) in a fuzz target", align, bytes);
}
