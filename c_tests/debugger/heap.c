/* A program for scripts/check-debugger.sh: two heaps in known states, one of them damaged, and a
 * block of the _global functions. It stops in `here`. */
#include "memoman.h"
#include <stdlib.h>
#include <string.h>

static size_t memory[32768 / sizeof(size_t)], other[32768 / sizeof(size_t)];
static size_t more[4096 / sizeof(size_t)];
mm_allocator_t *heap, *damaged;
char *block, *freed;
void *global;

__attribute__((noinline)) void here(void) { __asm__ volatile("" ::: "memory"); }

int main(int count, char **arguments) {
    heap = mm_create_with_pool(memory, sizeof memory);
    damaged = mm_create_with_pool(other, sizeof other);
    block = mm_malloc(heap, 1000);
    freed = mm_malloc(heap, 500);
    mm_malloc(heap, 100);
    mm_free(heap, freed);
    mm_add_pool(heap, more, sizeof more);
    char *short_block = mm_malloc(damaged, 24);
    mm_malloc(damaged, 24);
    memset(short_block, 'A', 40);
    global = mm_malloc_global(5000);
    here();
    if (count > 1 && strcmp(arguments[1], "abort") == 0) abort();
    return 0;
}
