// A fixed reserve is shared: a thread gets what another has freed, also in segments that the other
// still uses in part, and a request is refused only when no free block holds it.
// env: MEMOMAN_RESERVE=4M
// env: MEMOMAN_GROW=0
// link: -lpthread
#include "check.h"
#include <malloc.h>

enum { MOST = 200000, KEPT_PART = 140 };

static void *first[MOST];
static int had, kept;
static pthread_barrier_t stage;

/* Takes all there is, keeps a block here and there, and sleeps. */
static void *scatter(void *argument) {
    size_t bytes = (size_t)argument;
    for (had = 0; had < MOST && (first[had] = malloc(bytes)); had++);
    kept = 0;
    for (int i = 0; i < had; i++) {
        if (i % KEPT_PART == 0) {
            memset(first[i], i & 127, bytes);
            kept++;
        } else {
            free(first[i]);
            first[i] = NULL;
        }
    }
    pthread_barrier_wait(&stage);
    pthread_barrier_wait(&stage);
    for (int i = 0; i < had; i++) {
        if (first[i]) CHECK(((char *)first[i])[bytes - 1] == (i & 127));
        free(first[i]);
    }
    return NULL;
}

static void share(size_t bytes) {
    pthread_t other;
    CHECK(pthread_create(&other, NULL, scatter, (void *)bytes) == 0);
    pthread_barrier_wait(&stage);
    static void *second[MOST];
    int got = 0;
    while (got < MOST && (second[got] = malloc(bytes))) memset(second[got++], 3, bytes);
    printf("%zu bytes: the first had %d, keeps %d, the second got %d\n", bytes, had, kept, got);
    /* Some of the reserve is the second heap's own overhead. */
    CHECK(got + kept > had - had / 50);
    for (int i = 0; i < got; i++) free(second[i]);
    /* What was freed to the sleeping thread's heap is there for the same thread again. */
    int again = 0;
    while (again < MOST && (second[again] = malloc(bytes))) again++;
    CHECK(again > got - got / 50);
    for (int i = 0; i < again; i++) free(second[i]);
    pthread_barrier_wait(&stage);
    pthread_join(other, NULL);
}

int main(void) {
    pthread_barrier_init(&stage, NULL, 2);
    share(100);
    share(3000);
    passed("a_thread_gets_what_another_has_freed_between_live_blocks");
    return 0;
}
