// Two threads put blocks of mixed sizes into shared places and free what was there, half of it the
// other thread's. They take short turns, as two processors would: memory stays as it is, however
// long they go on.
// link: -lpthread
#include "check.h"
#include <semaphore.h>

enum { PLACES = 4096, TURN = 250, WARM = 2000, TURNS = 16000 };

static void *places[PLACES];
static sem_t turns[2];
static size_t before;

static void *hands_over(void *number) {
    uintptr_t own = (uintptr_t)number;
    uint64_t state = 88172645463325252u + 7919 * own;
    for (int turn = 0; turn < TURNS; turn++) {
        CHECK(sem_wait(&turns[own]) == 0);
        if (own == 0 && turn == WARM) before = resident();
        for (int i = 0; i < TURN; i++) {
            uint64_t power = 3 + random_next(&state) % 7;
            size_t bytes = (size_t)1 << power | random_next(&state) % ((size_t)1 << power);
            char *block = malloc(bytes);
            CHECK(block != NULL);
            block[0] = block[bytes - 1] = 1;
            void **place = &places[random_next(&state) % PLACES];
            free(*place);
            *place = block;
        }
        CHECK(sem_post(&turns[!own]) == 0);
    }
    return NULL;
}

int main(void) {
    pthread_t thread;
    CHECK(sem_init(&turns[0], 0, 1) == 0 && sem_init(&turns[1], 0, 0) == 0);
    CHECK(pthread_create(&thread, NULL, hands_over, (void *)1) == 0);
    hands_over(NULL);
    CHECK(pthread_join(thread, NULL) == 0);
    size_t now = resident();
    printf("KiB in memory: %zu, before: %zu\n", now >> 10, before >> 10);
    CHECK(now < before + (1 << 20));
    passed("blocks_handed_over_for_long_leave_memory_flat");
    return 0;
}
