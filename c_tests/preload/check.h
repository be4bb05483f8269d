/* What the programs under the shim share. They know nothing of memoman: only the C library's names are used. Some are built
 * with a library linked in as well (support/linked.h). */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE 1
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ends the program with the place and the condition that does not hold. */
#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            printf("FAIL H %s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            fflush(stdout);                                                                \
            _exit(1);                                                                      \
        }                                                                                  \
    } while (0)

/* Says that a test has passed. */
static inline void passed(const char *name) {
    printf("ok H %s\n", name);
    fflush(stdout);
}

/* Says that this machine does not permit a test. */
static inline void skipped(const char *name, const char *why) {
    printf("skip H %s %s\n", name, why);
    fflush(stdout);
}

/* Where the library is linked, its own word on its heaps; under the shim there is nobody to ask. */
#ifdef LINKED
#define HEAPS_ARE_SOUND() mm_validate_global()
#else
#define HEAPS_ARE_SOUND() 1
#endif

/* xorshift64. */
static inline uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

/* The seed of this run: the variable SEED, or always the same. Printed, so that a failure can be had again. */
static inline unsigned chosen_seed(void) {
    const char *text = getenv("SEED");
    unsigned seed = text ? (unsigned)strtoul(text, NULL, 0) : 20261124;
    printf("seed %u\n", seed);
    return seed;
}

/* The next call is misuse: it must end the program with a report of this pointer. Said without stdout's buffer, which
 * would be allocated here, perhaps where the pointer points. */
static inline void misused(const void *pointer) {
    char line[40];
    int bytes = snprintf(line, sizeof line, "pointer 0x%llx\n", (unsigned long long)(uintptr_t)pointer);
    if (write(1, line, (size_t)bytes) != bytes) _exit(2);
}

/* Keeps the compiler from knowing where a pointer comes from. */
static inline void *opaque(void *pointer) {
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
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
