/* hello.c: an allocator in a static array */
#include <memoman.h>
#include <stdio.h>

static unsigned char memory[64 * 1024];

int main(void) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    char *greeting = mm_malloc(heap, 32);
    if (greeting == NULL) return 1;
    snprintf(greeting, 32, "%s", "hello from a static array");
    puts(greeting);
    mm_free(heap, greeting);
    return mm_validate(heap) ? 0 : 1;
}
