// A signal stops a thread inside malloc, free or realloc while another thread allocates and frees
// blocks of the stopped one: a thread stopped in its own heap does not block other threads.
// args: 1500
// Not under the debug shim: it has one lock for all (the harness leaves it out).
#include "check.h"
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

enum { BLOCKS = 16, HANDED = 16 };

static uintptr_t code_start, code_end;
static uint64_t others_turns, stopped_inside, stopped;
static int stop, ready;
static void *handed[HANDED];

/* The code of the allocator: the executable segment that malloc lies in. */
static int finds(struct dl_phdr_info *object, size_t bytes, void *unused) {
    (void)bytes, (void)unused;
    uintptr_t malloc_at = (uintptr_t)&malloc;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t start = object->dlpi_addr + segment->p_vaddr, end = start + segment->p_memsz;
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) || malloc_at < start ||
            malloc_at >= end)
            continue;
        code_start = start, code_end = end;
    }
    return 0;
}

static void stands_still(int number, siginfo_t *information, void *context) {
    (void)number, (void)information;
    int saved = errno;
    uintptr_t at = (uintptr_t)((ucontext_t *)context)->uc_mcontext.
#ifdef __x86_64__
                   gregs[REG_RIP];
#else
                   pc;
#endif
    if (at >= code_start && at < code_end) __atomic_add_fetch(&stopped_inside, 1, __ATOMIC_RELAXED);
    /* The other thread must complete two turns while this one is stopped here. */
    uint64_t seen = __atomic_load_n(&others_turns, __ATOMIC_ACQUIRE);
    while (__atomic_load_n(&others_turns, __ATOMIC_ACQUIRE) < seen + 2 &&
           !__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        usleep(10);
    __atomic_add_fetch(&stopped, 1, __ATOMIC_RELEASE);
    errno = saved;
}

/* Small blocks, few at a time: all of them in the first segment of a heap, so that the lock is not
 * needed. */
static size_t some_size(uint64_t *state) { return 1 + random_next(state) % 400; }

static void *is_stopped(void *unused) {
    (void)unused;
    uint64_t state = 7;
    unsigned char *blocks[BLOCKS] = {0};
    size_t bytes[BLOCKS] = {0};
    for (int i = 0; i < BLOCKS; i++) {
        bytes[i] = some_size(&state);
        blocks[i] = malloc(bytes[i]);
        memset(blocks[i], i, bytes[i]);
    }
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        int i = (int)(random_next(&state) % BLOCKS);
        CHECK(blocks[i][0] == i && blocks[i][bytes[i] - 1] == i);
        size_t now = some_size(&state);
        if (random_next(&state) % 2) {
            unsigned char *moved = realloc(blocks[i], now);
            CHECK(moved && moved[0] == i);
            blocks[i] = moved;
        } else {
            /* To the other thread, which frees it. */
            void *full = NULL;
            if (!__atomic_compare_exchange_n(&handed[random_next(&state) % HANDED], &full,
                                             blocks[i], 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
                free(blocks[i]);
            blocks[i] = malloc(now);
            CHECK(blocks[i]);
        }
        bytes[i] = now;
        memset(blocks[i], i, now);
    }
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    return NULL;
}

static void *goes_on(void *unused) {
    (void)unused;
    uint64_t state = 11;
    void *blocks[BLOCKS] = {0};
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        for (int i = 0; i < BLOCKS; i++) {
            free(blocks[i]);
            blocks[i] = malloc(some_size(&state));
            CHECK(blocks[i]);
        }
        for (int i = 0; i < HANDED; i++)
            free(__atomic_exchange_n(&handed[i], NULL, __ATOMIC_ACQ_REL));
        __atomic_add_fetch(&others_turns, 1, __ATOMIC_RELEASE);
    }
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    return NULL;
}

int main(int count, char **arguments) {
    alarm(120);
    uint64_t signals = count > 1 ? (uint64_t)atoi(arguments[1]) : 1500, state = chosen_seed();
    dl_iterate_phdr(finds, NULL);
    CHECK(code_end > code_start);
    struct sigaction action = {.sa_sigaction = stands_still, .sa_flags = SA_SIGINFO | SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pthread_t stands, goes;
    CHECK(pthread_create(&stands, NULL, is_stopped, NULL) == 0);
    while (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) usleep(100);
    CHECK(pthread_create(&goes, NULL, goes_on, NULL) == 0);
    while (__atomic_load_n(&others_turns, __ATOMIC_ACQUIRE) < 100) usleep(100);
    for (uint64_t i = 1; i <= signals; i++) {
        CHECK(pthread_kill(stands, SIGUSR1) == 0);
        while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) < i) usleep(10);
        usleep((useconds_t)(random_next(&state) % 50));
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    CHECK(pthread_join(stands, NULL) == 0 && pthread_join(goes, NULL) == 0);
    printf("stopped %lu times, %lu of them inside the allocator\n", stopped, stopped_inside);
    CHECK(stopped_inside > signals / 20);
    passed("a_thread_stopped_in_malloc_blocks_no_other_thread");
    passed("a_signal_in_malloc_harms_nothing");
    return 0;
}
