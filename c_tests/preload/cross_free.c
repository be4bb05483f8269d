// 64 threads, started and ended in turns, free each other's blocks of 1 byte to 8 MiB, hashed; with
// forks between.
// args: 4000
// also-linked: asan tsan
// args-asan: 400
// args-tsan: 200
// link: -lpthread
#include "check.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>

enum { SLOTS = 512, THREADS = 64 };

typedef struct block {
    size_t bytes;
    uint64_t seed, hash;
    unsigned char contents[];
} block;

static block *slots[SLOTS];
static unsigned turns;
static unsigned seed;

/* Writes words derived from the seed at both ends of the contents, next to the neighbours; gives
 * their hash. */
static uint64_t filled(block *to, int write) {
    uint64_t state = to->seed | 1, hash = 0;
    size_t most = to->bytes < 4096 ? to->bytes : 4096;
    for (size_t i = 0; i < most; i++) {
        size_t at = i < most / 2 ? i : to->bytes - most + i;
        if (i % 8 == 0) random_next(&state);
        if (write) to->contents[at] = (unsigned char)(state >> (i % 8 * 8));
        hash = (hash ^ to->contents[at]) * 0x100000001B3;
    }
    return hash;
}

static size_t some_size(uint64_t *state) {
    uint64_t kind = random_next(state) % 1000;
    if (kind == 0) return 1 + random_next(state) % (8 << 20);
    if (kind < 20) return 1 + random_next(state) % (256 << 10);
    if (kind < 200) return 1 + random_next(state) % 8000;
    return 1 + random_next(state) % 500;
}

static block *made(uint64_t *state) {
    size_t bytes = some_size(state);
    block *new =
        random_next(state) % 4 ? malloc(sizeof *new + bytes) : calloc(1, sizeof *new + bytes);
    CHECK(new != NULL);
    new->bytes = bytes;
    new->seed = random_next(state);
    new->hash = filled(new, 1);
    return new;
}

static void gone(block *old) {
    CHECK(filled(old, 0) == old->hash);
    free(old);
}

static void *works(void *number) {
    uint64_t state = seed * 2654435761u + (uintptr_t)number * 7919 + 1;
    block *own[8] = {0};
    for (unsigned turn = 0; turn < turns; turn++) {
        if (random_next(&state) % 2) {
            block **slot = &slots[random_next(&state) % SLOTS];
            block *old = __atomic_exchange_n(slot, made(&state), __ATOMIC_ACQ_REL);
            if (old) gone(old);
        } else {
            block **place = &own[random_next(&state) % 8];
            if (*place) gone(*place);
            *place = made(&state);
            if (random_next(&state) % 8 == 0) {
                size_t bytes = some_size(&state),
                       least = bytes < (*place)->bytes ? bytes : (*place)->bytes;
                unsigned char first = (*place)->contents[0];
                *place = realloc(*place, sizeof **place + bytes);
                CHECK(*place != NULL && (least == 0 || (*place)->contents[0] == first));
                (*place)->bytes = bytes;
                (*place)->hash = filled(*place, 1);
            }
        }
    }
    for (int i = 0; i < 8; i++)
        if (own[i]) gone(own[i]);
    return NULL;
}

/* The child finds every slot's block unchanged, frees it, from any thread's heap, and allocates. */
static int child(void) {
    alarm(60);
    for (int i = 0; i < SLOTS; i++)
        if (slots[i] && filled(slots[i], 0) != slots[i]->hash) return 2;
    for (int i = 0; i < SLOTS; i++) free(slots[i]);
    for (size_t bytes = 1; bytes < 100000; bytes += bytes / 3 + 1) {
        char *p = malloc(bytes);
        if (p == NULL) return 3;
        memset(p, 1, bytes);
        free(p);
    }
    return 0;
}

int main(int count, char **arguments) {
    alarm(200);
    turns = count > 1 ? (unsigned)atoi(arguments[1]) : 4000;
    seed = chosen_seed();
    printf("%u turns\n", turns);
    pthread_t threads[THREADS];
    for (int round = 0; round < 4; round++) {
        for (uintptr_t i = 0; i < THREADS; i++)
            CHECK(pthread_create(&threads[i], NULL, works, (void *)(i + 64 * (uintptr_t)round)) ==
                  0);
        for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) _exit(child());
        int status = -1;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    passed("64_threads_free_each_others_blocks");
    size_t live = 0;
    for (int i = 0; i < SLOTS; i++)
        if (slots[i]) live += slots[i]->bytes;
    malloc_trim(0);
    CHECK(IN_USE() >= live);
    for (int i = 0; i < SLOTS; i++)
        if (slots[i]) gone(slots[i]);
    passed("contents_are_as_they_were");
    malloc_trim(0);
    printf("in use at the end: %zu\n", IN_USE());
    CHECK(IN_USE() < 256 << 10);
    passed("what_is_in_use_adds_up");
    return 0;
}
