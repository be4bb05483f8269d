/* What the programs under the shim share. They know nothing of memoman: only the C library's names are used. */
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
