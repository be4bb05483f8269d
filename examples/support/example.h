/* Shared by the examples: a claim that ends the program when it is false, and a line for a claim
 * that held. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(condition)                                                          \
    do {                                                                            \
        if (!(condition)) {                                                         \
            printf("FAILED: %s:%d: %s\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

/* proved("what", ...): prints like printf, after the REQUIREs that prove it. */
#define proved(...) (printf("  proved: "), printf(__VA_ARGS__), printf("\n"))

#ifdef __cplusplus
extern "C" {
#endif
/* Calls of the C library's malloc family since the program began: libc_calls.c. */
unsigned long libc_calls(void);
#ifdef __cplusplus
}
#endif

#endif
