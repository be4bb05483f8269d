/*
 * An allocator in a static array, its blocks drawn after each step.
 *
 *     cc -I dist/include examples/quickstart.c dist/libmemoman.a -lpthread -o quickstart
 */
#include <memoman.h>
#include <stdio.h>
#include <string.h>

static unsigned char memory[64 * 1024];

/* One character for each started 512 bytes: # in use, . free. */
static void draw(void *ptr, size_t size, int used, void *blocks) {
    (void)ptr;
    for (size_t drawn = 0; drawn < size; drawn += 512) putchar(used ? '#' : '.');
    putchar('|');
    ++*(size_t *)blocks;
}

static void map(mm_allocator_t *heap, const char *when) {
    size_t blocks = 0;
    mm_stats_t stats;
    printf("%-28s |", when);
    mm_walk_pool(mm_get_pool(heap), draw, &blocks);
    mm_stats(heap, &stats, sizeof stats);
    printf("\n%-28s %zu blocks, %zu bytes used, %zu free, largest request %zu\n", "", blocks,
           stats.used, stats.free, stats.largest);
}

int main(void) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    if (heap == NULL) return 1;
    map(heap, "created");

    char *text = mm_malloc(heap, 32);
    int *numbers = mm_calloc(heap, 1000, sizeof *numbers);
    double *vector = mm_memalign(heap, 64, 1000 * sizeof *vector);
    if (text == NULL || numbers == NULL || vector == NULL) return 1;
    strcpy(text, "hello from a static array");
    map(heap, "three blocks");

    numbers = mm_realloc(heap, numbers, 500 * sizeof *numbers); /* shrinks in place */
    mm_free(heap, vector);
    map(heap, "one shrunk, one freed");
    puts(text);

    mm_free(heap, numbers);
    mm_free(heap, text);
    map(heap, "all freed");
    printf("valid: %s\n", mm_validate(heap) ? "yes" : "no");
    return !mm_validate(heap);
}
