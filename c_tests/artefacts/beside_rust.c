/* A program of memoman and of rust_library.rs. */
#include <memoman.h>
#include <stdint.h>
extern uint32_t other_sum(uint32_t);
static char memory[32768];
int main(void) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    void *block = mm_malloc(heap, 100);
    mm_free(heap, block);
    return !(block != 0 && mm_validate(heap) && other_sum(10) == 45);
}
