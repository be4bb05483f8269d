/* A double free without an error handler: one line on stderr, and abort. */
#include <memoman.h>
#include <stdio.h>

static size_t memory[1 << 14];

int main(void) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    void *block = mm_malloc(heap, 100);
    mm_free(heap, block);
    puts("freed once");
    fflush(stdout);
    mm_free(heap, block);
    puts("still here");
    return 0;
}
