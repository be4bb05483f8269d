/* The configuration of the test. */
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#include <stddef.h>

#define configTOTAL_HEAP_SIZE ((size_t)(32 * 1024))
#define configUSE_MALLOC_FAILED_HOOK 1

void vAssertCalled(const char *file, int line);
#define configASSERT(x)                         \
    do {                                        \
        if (!(x)) vAssertCalled(__FILE__, __LINE__); \
    } while (0)

void vTraceMalloc(void *address, size_t size);
void vTraceFree(void *address, size_t size);
#define traceMALLOC(address, size) vTraceMalloc(address, size)
#define traceFREE(address, size) vTraceFree(address, size)

#endif
