/* Assertions of the tests that run on QEMU's boards. */
#ifndef REQUIRE_H
#define REQUIRE_H

#include "semihosting.h"

/* Ends the program with status 1 unless the condition holds. */
#define REQUIRE(condition)                                                                     \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            host_print("FAILED: " #condition "\n");                                            \
            host_exit(1);                                                                      \
        }                                                                                      \
    } while (0)

#endif
