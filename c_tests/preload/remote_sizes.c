// Blocks of all kinds of sizes, measured, resized and freed by a thread that did not allocate them.
// link: -lpthread
#include "check.h"
#include <malloc.h>
#include <pthread.h>

enum { COUNT = 4000 };

static unsigned char *blocks[COUNT];
static size_t sizes[COUNT];

static void *takes_over(void *unused) {
    (void)unused;
    for (size_t i = 0; i < COUNT; i++) {
        size_t usable = malloc_usable_size(blocks[i]);
        CHECK(usable >= sizes[i] && blocks[i][0] == (i & 0xFF) &&
              blocks[i][sizes[i] - 1] == (i & 0xFF));
        if (i % 3 == 0) {
            size_t bytes = i % 2 ? sizes[i] * 2 : sizes[i] / 2 + 1,
                   least = bytes < sizes[i] ? bytes : sizes[i];
            blocks[i] = realloc(blocks[i], bytes);
            CHECK(blocks[i] != NULL && blocks[i][0] == (i & 0xFF) &&
                  (bytes < sizes[i] || blocks[i][least - 1] == (i & 0xFF)));
        }
        free(blocks[i]);
    }
    return NULL;
}

int main(void) {
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            /* Sizes beyond the limit of a thread's heap, in irregular steps. */
            sizes[i] = i < 100 ? 32768 - i / 2 : 1 + i * 13 + (size_t)round;
            if (i % 5 == 0)
                CHECK(posix_memalign((void **)&blocks[i], (size_t)16 << i % 9, sizes[i]) == 0);
            else blocks[i] = malloc(sizes[i]);
            CHECK(blocks[i] != NULL);
            blocks[i][0] = blocks[i][sizes[i] - 1] = (unsigned char)i;
        }
        /* A reused block may be larger than its request, within bounds. */
        for (size_t i = 0; i < COUNT; i += 2) {
            free(blocks[i]);
            sizes[i] = sizes[i] > 100 ? sizes[i] - sizes[i] / 33 : sizes[i];
            blocks[i] = malloc(sizes[i]);
            CHECK(blocks[i] != NULL);
            blocks[i][0] = blocks[i][sizes[i] - 1] = (unsigned char)i;
        }
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, takes_over, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    passed("blocks_of_every_size_change_threads");
    return 0;
}
