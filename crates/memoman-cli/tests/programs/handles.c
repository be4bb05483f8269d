/* A program with handle heaps of a shared library. */
#include <stddef.h>
void *mm_create_with_pool(void *, size_t);
void *mm_malloc(void *, size_t);
void *mm_realloc(void *, void *, size_t);
void mm_free(void *, void *);
int mm_reset(void *);
void *mm_malloc_global(size_t);
void mm_free_global(void *);
static char memory[2][65536] __attribute__((aligned(16)));
int main(void)
{
    void *first = mm_create_with_pool(memory[0], sizeof memory[0]);
    void *second = mm_create_with_pool(memory[1], sizeof memory[1]);
    if (!first || !second) return 1;
    for (int i = 0; i < 10; i++) {
        void *block = mm_malloc(first, 1023);
        block = mm_realloc(first, block, 2023);
        mm_free(first, block);
        mm_free(second, mm_malloc(second, 24));
    }
    if (mm_malloc(NULL, 1) || mm_realloc(first, mm_malloc(first, 5), 0)) return 2;
    mm_free_global(mm_malloc_global(1024));
    return !mm_reset(second);
}
