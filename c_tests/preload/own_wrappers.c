// A program that counts its allocations in functions over glibc's internal names.
#include "check.h"

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void __libc_free(void *);

/* volatile: the C library promises the compiler that its functions do not call back. */
static volatile int mallocs, frees, reallocs;

void *malloc(size_t bytes) {
    mallocs++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t size) { return __libc_calloc(count, size); }

void *realloc(void *pointer, size_t bytes) {
    reallocs++;
    return __libc_realloc(pointer, bytes);
}

void free(void *pointer) {
    frees++;
    __libc_free(pointer);
}

int main(void) {
    int before = mallocs;
    char *copy = strdup("text");
    CHECK(copy && mallocs == before + 1);
    copy = reallocarray(copy, 100, 100);
    CHECK(copy && strcmp(copy, "text") == 0 && reallocs == 1);
    before = frees;
    free(copy);
    free(calloc(10, 10));
    CHECK(frees == before + 2);
    passed("internal_names_do_not_lead_back_to_the_programs_functions");
    return 0;
}
