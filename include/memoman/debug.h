/*
 * memoman: what the debug library has beyond memoman.h. C99 and C++.
 *
 *     if (mm_report_leaks) {
 *         mm_report_leaks(heap);
 *     }
 *
 * Where symbols can be weak, a program with this test links with every library, and the function's
 * address is NULL without the debug library. docs/debugging.md describes that library.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef MEMOMAN_DEBUG_H
#define MEMOMAN_DEBUG_H

#include "../memoman.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(_WIN32)
#define MEMOMAN_DEBUG_ONLY __attribute__((weak))
#else
#define MEMOMAN_DEBUG_ONLY
#endif

/*
 * Lists the allocator's blocks in use on stderr: one line for each call site, most bytes first, at
 * most 40 lines, and their sum. Returns the number of blocks; 0 if the handle is NULL. O(blocks).
 * Without an operating system nothing is printed.
 */
MEMOMAN_DEBUG_ONLY size_t mm_report_leaks(mm_allocator_t *allocator);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* MEMOMAN_DEBUG_H */
