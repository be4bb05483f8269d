/* The C library's own blocks are memoman's, and freed as such. */
#include <errno.h>
#include <memoman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mm_allocator_t *malloc_heap(void);
void initialise_monitor_handles(void);

static size_t live(void) {
    mm_stats_t stats;
    mm_stats(malloc_heap(), &stats, sizeof stats);
    return stats.live_blocks;
}

int main(void) {
#ifdef SEMIHOSTED_NEWLIB
    initialise_monitor_handles();
#endif
    printf("a line: %.3f\n", 3.14159265);
    size_t before = live();
    char *copy = strdup("a string"), *block = malloc(100), *zeros = calloc(10, 10);
    int counted = live() == before + 3;
    copy = realloc(copy, 1000);
    int kept = copy != NULL && strcmp(copy, "a string") == 0;
    free(copy), free(block), free(zeros);
    errno = 0;
    int refused = malloc((size_t)-1) == NULL && errno == ENOMEM;
    void *empty[] = {malloc(0), calloc(0, 4), realloc(NULL, 0), aligned_alloc(16, 0)};
    int distinct = 1;
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++) distinct &= empty[i] != empty[j];
        distinct &= empty[i] != NULL;
    }
    for (int i = 0; i < 4; i++) free(empty[i]);
    errno = 0;
    int invalid = aligned_alloc(24, 48) == NULL && errno == EINVAL;
    int answers = distinct && invalid && counted && kept && refused;
    int sound = answers && live() == before && mm_validate(malloc_heap());
    printf("%s\n", sound ? "sound" : "BAD");
    fflush(stdout);
    return sound ? 0 : 1;
}
