// 64 threads at any time, each soon replaced by another: blocks of 1 byte to 8 MiB, hashed, at
// least half of them freed by another thread than the one that made them, with forks throughout.
// Runs for MM_SECONDS seconds, or those of the first argument. At the end, after malloc_trim,
// memory is at most 1.3 times the live bytes; with a second argument this is not measured.
// args: 4
// args-preload-debug: 4 unmeasured
// also-linked: plain asan tsan
// args-plain: 4 unmeasured
// args-asan: 5 unmeasured
// args-tsan: 6 unmeasured
#include "check.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

enum { THREADS = 64, SLOTS = 128, OWN = 4 };

typedef struct block {
    size_t words;
    uint64_t seed, hash, maker;
    uint64_t contents[];
} block;

static block *slots[SLOTS];
static pthread_t last[THREADS];
static unsigned seed;
static int over, seats_taken = THREADS;
static unsigned long lives, turns, freed_by_maker, freed_by_another;

static void count(unsigned long *what, unsigned long by) {
    __atomic_add_fetch(what, by, __ATOMIC_RELAXED);
}

static unsigned long counted(unsigned long *what) {
    return __atomic_load_n(what, __ATOMIC_RELAXED);
}

/* The hash of all contents, which are first written if `write` is set. */
static uint64_t filled(block *of, int write) {
    uint64_t state = of->seed | 1, hash = 0;
    for (size_t i = 0; i < of->words; i++) {
        if (write) of->contents[i] = state += 0x9E3779B97F4A7C15u;
        hash = (hash ^ of->contents[i]) * 0x100000001B3u;
    }
    return hash;
}

/* Sizes spread evenly over the powers of two up to 8 MiB. */
static block *made(uint64_t *state, uint64_t maker) {
    size_t bytes = 1 + random_next(state) % ((size_t)1 << random_next(state) % 24);
    block *new =
        random_next(state) % 4 ? malloc(sizeof *new + bytes) : calloc(1, sizeof *new + bytes);
    CHECK(new != NULL);
    *new = (block){.words = bytes / 8, .seed = random_next(state), .maker = maker};
    new->hash = filled(new, 1);
    return new;
}

static void gone(block *old, uint64_t by) {
    CHECK(filled(old, 0) == old->hash);
    count(old->maker == by ? &freed_by_maker : &freed_by_another, 1);
    free(old);
}

typedef struct life {
    uint64_t seat, number;
    pthread_t before;
} life;

static void *lives_a_while(void *argument) {
    life *mine = argument;
    uint64_t seat = mine->seat, number = mine->number,
             state = (seed + number) * 0x9E3779B97F4A7C15u + 1;
    block *own[OWN] = {0};
    if (number >= THREADS) CHECK(pthread_join(mine->before, NULL) == 0);
    for (uint64_t turn = 0, most = 5 + random_next(&state) % 60;
         turn < most && !__atomic_load_n(&over, __ATOMIC_ACQUIRE); turn++) {
        block *new = made(&state, number), *old;
        if (random_next(&state) % 5 < 3) {
            old = __atomic_exchange_n(&slots[random_next(&state) % SLOTS], new, __ATOMIC_ACQ_REL);
        } else {
            block **place = &own[random_next(&state) % OWN];
            old = *place;
            *place = new;
        }
        if (old) gone(old, number);
        count(&turns, 1);
    }
    for (int i = 0; i < OWN; i++)
        if (own[i]) gone(own[i], number);
    count(&lives, 1);
    if (__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        free(mine);
        __atomic_sub_fetch(&seats_taken, 1, __ATOMIC_RELEASE);
        return NULL;
    }
    *mine = (life){seat, number + THREADS, pthread_self()};
    pthread_t after;
    CHECK(pthread_create(&after, NULL, lives_a_while, mine) == 0);
    __atomic_store_n(&last[seat], after, __ATOMIC_RELEASE);
    return NULL;
}

/* The child finds each slot's block intact, frees it, from any thread's heap, and allocates. */
static int child(void) {
    alarm(120);
    uint64_t state = seed | 1;
    for (int i = 0; i < SLOTS; i++) {
        block *old = __atomic_load_n(&slots[i], __ATOMIC_ACQUIRE);
        if (old && i % 4 == 0 && filled(old, 0) != old->hash) return 2;
        free(old);
    }
    for (int i = 0; i < 20; i++) {
        block *new = made(&state, 0);
        if (filled(new, 0) != new->hash) return 3;
        free(new);
    }
    return HEAPS_ARE_SOUND() ? 0 : 4;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int arguments, char **argument) {
    const char *asked = getenv("MM_SECONDS");
    double seconds = atof(asked ? asked : arguments > 1 ? argument[1] : "4"), end = now() + seconds;
    alarm(200 + (unsigned)seconds);
    seed = chosen_seed();
    for (uint64_t i = 0; i < THREADS; i++) {
        life *first = malloc(sizeof *first);
        CHECK(first != NULL);
        *first = (life){i, i, 0};
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, lives_a_while, first) == 0);
        /* Unless it has been replaced already. */
        pthread_t none = 0;
        __atomic_compare_exchange_n(&last[i], &none, thread, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    }
    unsigned long forks = 0;
    for (double said = now(); now() < end;) {
        usleep(50000);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) _exit(child());
        int status = -1;
        CHECK(waitpid(pid, &status, 0) == pid);
        if (status != 0) printf("fork %lu: wait status 0x%x\n", forks, (unsigned)status);
        CHECK(status == 0);
        CHECK(forks % 8 != 0 || HEAPS_ARE_SOUND());
        forks++;
        if (now() - said < 10) continue;
        said = now();
        printf("%.0f s to go: %lu turns, %lu threads, %lu forks\n", end - now(), counted(&turns),
               counted(&lives), forks);
        fflush(stdout);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&seats_taken, __ATOMIC_ACQUIRE) > 0) usleep(1000);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(last[i], NULL) == 0);
    printf("%lu turns, %lu threads, %lu forks; freed by the maker %lu, by another %lu\n", turns,
           lives, forks, freed_by_maker, freed_by_another);
    CHECK(lives > THREADS && forks > 0);
    passed("64_threads_come_and_go_with_forks_between");
    unsigned long all = freed_by_maker + freed_by_another;
    CHECK(freed_by_another >= all / 2);
    passed("half_of_all_frees_on_another_thread");
    size_t live = 0;
    for (int i = 0; i < SLOTS; i++) {
        if (!slots[i]) continue;
        CHECK(filled(slots[i], 0) == slots[i]->hash);
        live += sizeof(block) + slots[i]->words * 8;
    }
    passed("contents_are_as_they_were_written");
    CHECK(HEAPS_ARE_SOUND());
#ifdef LINKED
    passed("every_heap_is_sound");
#endif
    size_t before = resident();
    malloc_trim(0);
    printf("live %zu KiB, resident %zu KiB, after malloc_trim %zu KiB\n", live >> 10, before >> 10,
           resident() >> 10);
    if (arguments < 3) {
        CHECK(resident() < live / 10 * 13);
        passed("after_malloc_trim_memory_within_1.3_of_what_is_live");
    }
    return 0;
}
