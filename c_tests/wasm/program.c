/* The program of docs/book/embedded.md, "WebAssembly": it imports nothing. */
#include <memoman.h>

static unsigned char memory[4096];
int run(void);

int run(void) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    size_t pages = __builtin_wasm_memory_grow(0, 16);
    if (mm_add_pool(heap, (void *)(pages << 16), 16 << 16) == NULL) return 0;
    void *blocks[4000];
    size_t count = 0;
    while (count < 4000 && (blocks[count] = mm_malloc(heap, 100)) != NULL) count++;
    while (count > 100) mm_free(heap, blocks[--count]);
    return mm_validate(heap);
}
