/* A double free without an error handler: it ends the program, and neither returns nor spins. */
#include <memoman.h>
#include <stdio.h>

static unsigned char memory[16384];

int main(void) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    void *block = mm_malloc(heap, 100);
    mm_free(heap, block);
    puts("freed once");
    fflush(stdout);
    mm_free(heap, block);
    puts("freed twice");
    return 0;
}
