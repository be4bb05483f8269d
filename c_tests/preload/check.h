/* Shared by the programs under the shim. They use the C library's names only. Some are also built
 * with a library linked in (support/linked.h). */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE 1
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ends the program with the place and the condition that failed. */
#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            printf("FAIL H %s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            fflush(stdout);                                                                \
            _exit(1);                                                                      \
        }                                                                                  \
    } while (0)

/* Reports a passed test. */
static inline void passed(const char *name) {
    printf("ok H %s\n", name);
    fflush(stdout);
}

/* Reports a test that this machine does not permit. */
static inline void skipped(const char *name, const char *why) {
    printf("skip H %s %s\n", name, why);
    fflush(stdout);
}

/* The linked library validates its heaps; the shim exports no validation. */
#ifdef LINKED
#define HEAPS_ARE_SOUND() mm_validate_global()
#else
#define HEAPS_ARE_SOUND() 1
#endif

/* Bytes in use by mallinfo2, whose `uordblks` lacks the large blocks. */
#define IN_USE() (mallinfo2().uordblks + mallinfo2().hblkhd)

/* xorshift64. */
static inline uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

/* The seed of this run: the variable SEED, or a constant. Printed, so that a failure can be
 * repeated. */
static inline unsigned chosen_seed(void) {
    const char *text = getenv("SEED");
    unsigned seed = text ? (unsigned)strtoul(text, NULL, 0) : 20261124;
    printf("seed %u\n", seed);
    return seed;
}

/* The next call is misuse: it must end the program with a report of this pointer. Printed without
 * stdout's buffer, which would be allocated here, perhaps where the pointer points. */
static inline void misused(const void *pointer) {
    char line[40];
    int bytes =
        snprintf(line, sizeof line, "pointer 0x%llx\n", (unsigned long long)(uintptr_t)pointer);
    if (write(1, line, (size_t)bytes) != bytes) _exit(2);
}

/* Hides from the compiler where a pointer comes from. */
static inline void *opaque(void *pointer) {
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

/* Puts a size in demand: this thread's cache then keeps freed blocks of it. */
static inline void put_in_demand(size_t bytes) {
    static void *blocks[64];
    for (int i = 0; i < 64; i++) blocks[i] = malloc(bytes);
    for (int i = 0; i < 64; i++) free(blocks[i]);
}

/* Runs `body` on another thread and waits for its end. */
static inline void on_other_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* Resident bytes of this process. */
static inline size_t resident(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1) abort();
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
