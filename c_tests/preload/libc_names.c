// glibc's internal names lead to the same heap.
#include "check.h"

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t), *__libc_valloc(size_t), *__libc_pvalloc(size_t);
__attribute__((weak)) extern int __posix_memalign(void **, size_t, size_t);
extern void __libc_free(void *);

int main(void) {
    for (int i = 0; i < 1000; i++) {
        void *posix = NULL;
        free(__libc_malloc(100));
        free(__libc_calloc(10, 10));
        __libc_free(malloc(100));
        free(__libc_realloc(malloc(10), 1000));
        __libc_free(realloc(__libc_malloc(10), 1000));
        free(__libc_memalign(64, 100));
        free(__libc_valloc(100));
        free(__libc_pvalloc(100));
        CHECK(__posix_memalign == NULL || __posix_memalign(&posix, 64, 100) == 0);
        free(posix);
    }
    passed("libc_names_share_the_heap");
    char *line = NULL, *copy = strdup("text");
    CHECK(asprintf(&line, "%s %d", copy, 5) == 6);
    free(line), free(copy);
    line = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&line, &size);
    for (int i = 0; i < 10000; i++) fprintf(memory, "line %d\n", i);
    fclose(memory);
    CHECK(size > 80000 && strlen(line) == size);
    free(line);
    free(realpath("/", NULL));
    free(getcwd(NULL, 0));
    passed("blocks_that_the_c_library_allocates");
    return 0;
}
