/*
 * Prints the tables of docs/book/sizes.md. Each figure is measured: a control structure is created,
 * blocks are allocated until no more fit.
 */
#include <memoman.h>
#include <stdio.h>
#include <stdlib.h>

static void bytes(size_t n) {
    if (n >= 1048576 && n % 1048576 == 0) printf("%zu MiB", n / 1048576);
    else if (n >= 1024 && n % 1024 == 0) printf("%zu KiB", n / 1024);
    else printf("%zu", n);
}

/* The smallest pool in which `count` blocks of `request` bytes fit. */
static size_t smallest_pool(size_t request, size_t count, void *control, void *memory,
                            size_t most) {
    size_t low = 0, high = most;
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2, fit = 0;
        mm_allocator_t *heap = mm_create_for(control, 65536);
        if (mm_add_pool(heap, memory, middle) != NULL)
            while (fit < count && mm_malloc(heap, request) != NULL) fit++;
        if (fit == count) high = middle;
        else low = middle;
    }
    return high;
}

int main(void) {
    static const size_t greatest[] = {256, 1024, 4096, 16384, 65536, 1048576, 16777216};
    static const size_t requests[] = {1, 32, 64, 100, 256, 1000, 4096, 65536};
    printf("| largest request | control structure |\n|--:|--:|\n");
    for (size_t i = 0; i < sizeof greatest / sizeof *greatest; i++) {
        printf("| ");
        bytes(greatest[i]);
        printf(" | %zu |\n", mm_size_for(greatest[i]));
    }
    printf("| any (`mm_create`) | %zu |\n\n", mm_size());

    printf("| request | block takes | pool for 100 |\n|--:|--:|--:|\n");
    const size_t most = 16 * 1024 * 1024;
    void *memory = aligned_alloc(64, most), *control = malloc(mm_size_for(65536));
    if (memory == NULL || control == NULL) return 1;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        mm_allocator_t *heap = mm_create_for(control, 65536);
        mm_stats_t stats;
        mm_add_pool(heap, memory, most);
        mm_malloc(heap, requests[i]);
        mm_stats(heap, &stats, sizeof stats);
        printf("| %zu | %zu | %zu |\n", requests[i], stats.used,
               smallest_pool(requests[i], 100, control, memory, most));
    }
    free(control);
    free(memory);
    return 0;
}
