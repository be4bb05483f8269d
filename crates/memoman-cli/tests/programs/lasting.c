/* A handle heap in a static array, for `memoman top`: prints its address and the bytes in use, and
 * waits. */
#include <memoman.h>
#include <stdio.h>
#include <unistd.h>

static unsigned char memory[256 * 1024];

int main(void) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    void *blocks[50];
    for (int i = 0; i < 50; i++) blocks[i] = mm_malloc(heap, 100 + 30 * (unsigned)i);
    for (int i = 0; i < 50; i += 3) mm_free(heap, blocks[i]);
    mm_stats_t stats;
    mm_stats(heap, &stats, sizeof stats);
    printf("%p %zu\n", (void *)heap, stats.used);
    fflush(stdout);
    sleep(60);
    return 0;
}
