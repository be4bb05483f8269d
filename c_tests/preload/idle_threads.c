// Threads that sleep hold little of what they or others have freed: resident memory follows the
// live bytes without malloc_trim. Each case prints what it has left; an argument selects one case.
// link: -lpthread
#include "check.h"
#include <malloc.h>
#include <sys/mman.h>

enum { MOST = 64 };

/* What a sleeping thread may hold, and what the process may keep besides: docs/concurrency.md. */
static const size_t PER_THREAD = 160 << 10, KEPT = 48 << 20;

typedef struct {
    const char *name;
    /* Owners allocate, and the senders free; without senders, the owners. */
    int owners, senders;
    size_t blocks, least, most, align;
    /* One owner after the other, or all at once. */
    int in_turn;
    /* Senders end when they have freed, and do not sleep. */
    int senders_end;
    /* The owners sleep before the senders exist, and allocate again afterwards. */
    int wake;
} Case;

static const Case CASES[] = {
    {"own_small_blocks_in_turn", 24, 0, 12000, 16, 1500, 0, 1, 0, 0},
    {"own_small_blocks_at_once", 24, 0, 4000, 16, 1500, 0, 0, 0, 0},
    {"own_blocks_of_one_size_at_once", 48, 0, 20000, 100, 100, 0, 0, 0, 0},
    {"own_mixed_blocks_at_once", 32, 0, 200, 16, 200000, 0, 0, 0, 0},
    {"own_aligned_blocks_in_turn", 24, 0, 3000, 16, 4000, 256, 1, 0, 0},
    {"small_blocks_of_sleeping_owners_freed_by_one", 32, 1, 8000, 16, 1000, 0, 0, 0, 1},
    {"tiny_blocks_of_sleeping_owners_freed_by_one", 32, 1, 40000, 16, 48, 0, 0, 0, 0},
    {"large_blocks_of_sleeping_owners_freed_by_one", 32, 1, 40, 60000, 250000, 0, 0, 0, 1},
    {"aligned_blocks_of_sleeping_owners_freed_by_one", 16, 1, 1000, 64, 9000, 4096, 0, 0, 0},
    {"blocks_of_sleeping_owners_freed_by_many_that_end", 16, 16, 8000, 16, 2000, 0, 0, 1, 0},
};

static const Case *now;
static void ***blocks;
static pthread_barrier_t stage;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int asleep, awake;

static void *fresh(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* Sleeps until the case is over. */
static void sleep_on(void) {
    pthread_mutex_lock(&mutex);
    asleep++;
    pthread_cond_broadcast(&changed);
    while (!awake) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void wait_for_sleepers(int count) {
    pthread_mutex_lock(&mutex);
    while (asleep < count) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void fill(void **mine, uint64_t *state) {
    for (size_t i = 0; i < now->blocks; i++) {
        size_t bytes = now->least + random_next(state) % (now->most - now->least + 1);
        mine[i] = now->align ? memalign(now->align, bytes) : malloc(bytes);
        CHECK(mine[i]);
        memset(mine[i], 1, bytes);
    }
}

static void shuffle(void **mine, uint64_t *state) {
    for (size_t i = now->blocks; i > 1; i--) {
        size_t j = random_next(state) % i;
        void *block = mine[i - 1];
        mine[i - 1] = mine[j], mine[j] = block;
    }
}

static void *own(void *argument) {
    size_t index = (size_t)argument;
    uint64_t state = index * 977 + 13;
    if (now->in_turn) {
        static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
        pthread_mutex_lock(&turn);
        for (int round = 0; round < 3; round++) {
            fill(blocks[index], &state);
            shuffle(blocks[index], &state);
            for (size_t i = 0; i < now->blocks; i++) free(blocks[index][i]);
        }
        pthread_mutex_unlock(&turn);
    } else {
        fill(blocks[index], &state);
        if (now->senders < 2) shuffle(blocks[index], &state);
        pthread_barrier_wait(&stage);
        if (now->senders == 0)
            for (size_t i = 0; i < now->blocks; i++) free(blocks[index][i]);
    }
    sleep_on();
    if (now->wake) {
        fill(blocks[index], &state);
        for (size_t i = 0; i < now->blocks; i++) free(blocks[index][i]);
    }
    return NULL;
}

/* Frees a part of each owner's blocks: one block of each owner in turn. */
static void *send(void *argument) {
    size_t index = (size_t)argument, part = now->blocks / (size_t)now->senders;
    for (size_t i = index * part; i < (index + 1) * part; i++)
        for (int owner = 0; owner < now->owners; owner++) free(blocks[owner][i]);
    if (!now->senders_end) sleep_on();
    return NULL;
}

static void run(const Case *one) {
    now = one;
    asleep = awake = 0;
    pthread_t owners[MOST], senders[MOST];
    for (int i = 0; i < one->owners; i++) blocks[i] = fresh(one->blocks * sizeof(void *));
    size_t start = resident();
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    pthread_barrier_init(&stage, NULL, (unsigned)one->owners);
    for (long i = 0; i < one->owners; i++)
        CHECK(pthread_create(&owners[i], &attributes, own, (void *)i) == 0);
    wait_for_sleepers(one->owners);
    for (long i = 0; i < one->senders; i++)
        CHECK(pthread_create(&senders[i], &attributes, send, (void *)i) == 0);
    if (one->senders_end)
        for (int i = 0; i < one->senders; i++) pthread_join(senders[i], NULL);
    else
        wait_for_sleepers(one->owners + one->senders);
    /* (The arrays are touched by now.) */
    size_t arrays = (size_t)one->owners * one->blocks * sizeof(void *);
    size_t threads = (size_t)(one->owners + one->senders), end = resident() - arrays;
    size_t left = end > start ? end - start : 0;
    printf("%s: %zu KiB left, %zu permitted\n", one->name, left >> 10,
           (KEPT + threads * PER_THREAD) >> 10);
    CHECK(left <= KEPT + threads * PER_THREAD);
    pthread_mutex_lock(&mutex);
    awake = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < one->owners; i++) pthread_join(owners[i], NULL);
    if (!one->senders_end)
        for (int i = 0; i < one->senders; i++) pthread_join(senders[i], NULL);
    for (int i = 0; i < one->owners; i++) munmap(blocks[i], one->blocks * sizeof(void *));
    passed(one->name);
}

int main(int argc, char **argv) {
    blocks = fresh(MOST * sizeof(void **));
    int only = argc > 1 ? atoi(argv[1]) : -1;
    for (int i = 0; i < (int)(sizeof CASES / sizeof *CASES); i++)
        if (only < 0 || only == i) run(&CASES[i]);
    return 0;
}
