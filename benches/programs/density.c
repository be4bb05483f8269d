/* Prints "name number" lines: bytes of control structures, and blocks of a size in 1 MiB. */
#include <memoman.h>
#include <stdio.h>

enum { MIB = 1 << 20 };
static _Alignas(64) unsigned char control[1 << 14], memory[MIB];

static size_t fill(mm_allocator_t *a, size_t bytes) {
    size_t blocks = 0;
    while (mm_malloc(a, bytes)) {
        blocks++;
    }
    return mm_validate(a) ? blocks : 0;
}

int main(void) {
    printf("control-default %zu\ncontrol-64KiB %zu\n", mm_size(), mm_size_for(65536));
    static const size_t sizes[] = {24, 64, 1024};
    for (int i = 0; i < 3; i++) {
        mm_allocator_t *a = mm_create(control);
        mm_add_pool(a, memory, MIB);
        printf("blocks-of-%zu-in-1MiB %zu\n", sizes[i], fill(a, sizes[i]));
    }
    for (int i = 0; i < 3; i++) {
        mm_allocator_t *a = mm_create_with_pool(memory, MIB);
        printf("blocks-of-%zu-in-1MiB-with-control %zu\n", sizes[i], fill(a, sizes[i]));
    }
    for (int i = 0; i < 3; i++) {
        size_t bytes = mm_size_for(65536);
        mm_allocator_t *a = mm_create_for(memory, 65536);
        mm_add_pool(a, memory + bytes, MIB - bytes);
        printf("blocks-of-%zu-in-1MiB-with-64KiB-control %zu\n", sizes[i], fill(a, sizes[i]));
    }
    return 0;
}
