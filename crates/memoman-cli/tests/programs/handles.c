/* A program with handle heaps of a shared library. */
#include <stddef.h>
void *mm_create_with_pool(void *, size_t);
void *mm_malloc(void *, size_t);
void *mm_memalign(void *, size_t, size_t);
void *mm_realloc(void *, void *, size_t);
void *mm_realloc_aligned(void *, void *, size_t, size_t);
void mm_free(void *, void *);
int mm_reset(void *);
void *mm_malloc_global(size_t);
void mm_free_global(void *);
static char memory[3][65536] __attribute__((aligned(16)));
int main(void)
{
    void *first = mm_create_with_pool(memory[0], sizeof memory[0]);
    void *second = mm_create_with_pool(memory[1], sizeof memory[1]);
    void *third = mm_create_with_pool(memory[2], sizeof memory[2]);
    if (!first || !second || !third) return 1;
    for (int i = 0; i < 10; i++) {
        void *block = mm_malloc(first, 1023);
        block = mm_realloc(first, block, 2023);
        mm_free(first, block);
        mm_free(second, mm_malloc(second, 24));
    }
    if (mm_malloc(NULL, 1) || mm_realloc(first, mm_malloc(first, 5), 0)) return 2;
    mm_free_global(mm_malloc_global(1024));
    /* Each is one event. */
    void *block = mm_realloc(third, NULL, 101);
    if (mm_realloc(third, block, 0)) return 3;
    block = mm_realloc_aligned(third, NULL, 64, 102);
    if (mm_realloc_aligned(third, block, 64, 0)) return 4;
    if (mm_realloc(third, NULL, (size_t)1 << 40)) return 5;
    /* Wrong uses, and what is no request, are none. */
    block = mm_malloc(third, 103);
    if (mm_malloc(third, 0) || mm_memalign(third, 3, 8) || mm_memalign(third, 0, 8)) return 6;
    if (mm_memalign(third, 64, 0) || mm_realloc(third, NULL, 0)) return 7;
    if (mm_realloc_aligned(third, block, 3, 8)) return 8;
    return !mm_reset(second);
}
