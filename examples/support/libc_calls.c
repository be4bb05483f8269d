/*
 * Counts calls of the C library's malloc family, by the program and by every library that it loads:
 * a definition in the program comes before the C library's own. glibc has the real functions under
 * these names.
 */
#include "example.h"
#include <stdatomic.h>
#include <stddef.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static atomic_ulong calls;

unsigned long libc_calls(void) { return atomic_load(&calls); }

void *malloc(size_t bytes) {
    atomic_fetch_add(&calls, 1);
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t size) {
    atomic_fetch_add(&calls, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t bytes) {
    atomic_fetch_add(&calls, 1);
    return __libc_realloc(ptr, bytes);
}

void *aligned_alloc(size_t align, size_t bytes) {
    atomic_fetch_add(&calls, 1);
    return __libc_memalign(align, bytes);
}

int posix_memalign(void **out, size_t align, size_t bytes) {
    atomic_fetch_add(&calls, 1);
    *out = __libc_memalign(align, bytes);
    return *out == NULL;
}
