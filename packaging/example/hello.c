/* A program that uses an installed memoman. */
#include <memoman.h>
#include <stdio.h>
#include <string.h>

static unsigned char memory[64 * 1024];

int main(void) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    char *greeting = mm_malloc(heap, 32);
    if (greeting == NULL || strcmp(mm_version(), MM_VERSION_STRING) != 0) return 1;
    strcpy(greeting, "hello from C");
    printf("%s, memoman %s\n", greeting, mm_version());
    mm_free(heap, greeting);
    return mm_validate(heap) ? 0 : 1;
}
