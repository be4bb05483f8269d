// malloc, calloc, realloc, free: zero sizes, overflow, errno, alignment, usable size.
#include "check.h"
#include <malloc.h>

int main(void) {
    char *a = malloc(0), *b = malloc(0), *c = calloc(0, 8), *d = calloc(8, 0);
    CHECK(a && b && c && d && a != b && c != d && a != c);
    free(a), free(b), free(c), free(d), free(NULL);
    passed("zero_sizes_give_distinct_pointers");

    errno = 0;
    for (size_t k = 0; k <= 64; k++) {
        errno = 0;
        CHECK(malloc(SIZE_MAX - k) == NULL && errno == ENOMEM);
        errno = 0;
        CHECK(malloc((SIZE_MAX >> 1) - k) == NULL && errno == ENOMEM);
    }
    passed("malloc_near_size_max_is_enomem");

    size_t pairs[][2] = {
        {SIZE_MAX, 2}, {2, SIZE_MAX}, {(size_t)1 << 63, 2}, {(size_t)1 << 32, (size_t)1 << 32},
        {SIZE_MAX, 1}, {1, SIZE_MAX}, {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        errno = 0;
        CHECK(calloc(pairs[i][0], pairs[i][1]) == NULL && errno == ENOMEM);
        char *p = malloc(40);
        memset(p, 7, 40);
        errno = 0;
        CHECK(reallocarray(p, pairs[i][0], pairs[i][1]) == NULL && errno == ENOMEM);
        CHECK(p[0] == 7 && p[39] == 7);
        free(p);
    }
    passed("products_that_overflow_are_enomem");

    char *p = malloc(100);
    memset(p, 9, 100);
    errno = 0;
    CHECK(realloc(p, SIZE_MAX - 64) == NULL && errno == ENOMEM && p[99] == 9);
    errno = 0;
    CHECK((p = realloc(p, 10)) != NULL && p[9] == 9 && errno == 0);
    CHECK((p = realloc(p, 1 << 20)) != NULL && p[9] == 9);
    CHECK(realloc(p, 0) == NULL);
    CHECK((p = realloc(NULL, 33)) != NULL);
    free(p);
    passed("realloc_keeps_frees_and_allocates");

    for (int error = 1; error < 100; error += 11) {
        void *small = malloc(100), *large = malloc(64 << 20);
        CHECK(small && large);
        memset(large, 1, 64 << 20);
        errno = error;
        free(small);
        free(large);
        CHECK(errno == error);
    }
    passed("free_keeps_errno");

    errno = 0;
    for (size_t bytes = 1; bytes < 5000; bytes++) {
        char *block = malloc(bytes);
        CHECK(block && ((uintptr_t)block & 15) == 0);
        size_t usable = malloc_usable_size(block);
        CHECK(usable >= bytes);
        memset(block, 0xFF, usable);
        char *zero = calloc(1, bytes);
        CHECK(zero && ((uintptr_t)zero & 15) == 0);
        for (size_t i = 0; i < bytes; i++) CHECK(zero[i] == 0);
        free(block);
        free(zero);
    }
    CHECK(errno == 0 && malloc_usable_size(NULL) == 0);
    passed("every_size_is_aligned_and_wholly_usable");
    return 0;
}
