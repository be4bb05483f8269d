/*
 * The part of NuttX's headers that a heap manager uses, declared as in its sources of version 12:
 * stubs to compile and test mm_memoman.c without the system. Your project has the real headers.
 */
#ifndef __INCLUDE_NUTTX_CONFIG_H
#define __INCLUDE_NUTTX_CONFIG_H

#define CONFIG_MM_REGIONS 2
#define CONFIG_DEBUG_MM 1

#endif
