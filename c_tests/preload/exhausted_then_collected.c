// Blocks freed into another running thread's heap are collected before a request is refused.
// env: MEMOMAN_RESERVE=4M
// env: MEMOMAN_GROW=0
// also-linked: asan tsan
// link: -lpthread
#include "check.h"
#include <pthread.h>

enum { MOST = 8192 };

static void *blocks[MOST];
static int count;
static pthread_barrier_t full, over;

static void *fills(void *unused) {
    while (count < MOST && (blocks[count] = malloc(1000)) != NULL) count++;
    CHECK(errno == ENOMEM && count > 3500);
    pthread_barrier_wait(&full);
    /* This thread makes no call in between: the freed blocks must be collected for it. */
    pthread_barrier_wait(&over);
    return unused;
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_barrier_init(&full, NULL, 2) == 0 && pthread_barrier_init(&over, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, fills, NULL) == 0);
    pthread_barrier_wait(&full);
    CHECK(malloc(2 << 20) == NULL && errno == ENOMEM);
    for (int i = 0; i < count; i++) free(blocks[i]);
    char *large = malloc(2 << 20);
    CHECK(large != NULL);
    memset(large, 1, 2 << 20);
    free(large);
    pthread_barrier_wait(&over);
    CHECK(pthread_join(thread, NULL) == 0);
    passed("what_others_have_freed_is_found_before_a_refusal");
    return 0;
}
