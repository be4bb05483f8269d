// Blocks of 0 bytes: all distinct and aligned, also more than the region for them holds, from
// several threads and in a forked child.
#include "check.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 300000, THREADS = 4, EACH = 20000 };

static void *blocks[COUNT];

static int by_address(const void *one, const void *other) {
    const char *a = *(char *const *)one, *b = *(char *const *)other;
    return (a > b) - (a < b);
}

static void check_distinct(size_t count) {
    qsort(blocks, count, sizeof *blocks, by_address);
    for (size_t i = 0; i < count; i++) {
        CHECK(blocks[i] && (size_t)blocks[i] % (2 * sizeof(void *)) == 0);
        CHECK(i == 0 || blocks[i] != blocks[i - 1]);
    }
}

static void *take(void *where) {
    void **mine = where;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < EACH; i++) {
            mine[i] = malloc(0);
        }
        for (size_t i = 0; round < 2 && i < EACH; i++) {
            free(mine[i]);
        }
    }
    return NULL;
}

int main(void) {
    /* Before the first empty block: it comes where these blocks were. */
    static char *large[16];
    for (int i = 0; i < 16; i++) {
        large[i] = malloc((4 << 20) - 4096);
        CHECK(large[i]);
        large[i][0] = 1;
    }
    for (int i = 0; i < 16; i++) free(large[i]);
    malloc_trim(0);
    free(malloc(0));
    passed("an_empty_block_is_freed_where_a_large_one_was");

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = malloc(0);
        }
        check_distinct(COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            free(blocks[i]);
        }
    }
    passed("more_empty_blocks_than_places_are_distinct");

    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, take, blocks + i * EACH) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    check_distinct(THREADS * EACH);
    pid_t child = fork();
    for (size_t i = 0; i < THREADS * EACH; i++) {
        free(blocks[i]);
    }
    if (child == 0) {
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    passed("threads_get_distinct_empty_blocks_and_a_child_frees_them");

    errno = 0;
    char *block = malloc(0);
    CHECK(malloc_usable_size(block) < 64 && errno == 0);
    block = realloc(block, 100);
    memset(block, 7, 100);
    CHECK((block = realloc(block, 0)) == NULL);
    block = realloc(NULL, 0);
    CHECK(block != NULL && (block = reallocarray(block, 5, 5)) != NULL);
    free(block);
    block = calloc(0, 5);
    CHECK(block != NULL && realloc(block, 0) == NULL && errno == 0);
    passed("empty_blocks_are_resized_and_freed");
    return 0;
}
