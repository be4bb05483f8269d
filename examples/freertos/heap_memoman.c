/*
 * A heap for FreeRTOS over memoman: use it instead of heap_1.c to heap_5.c, and link libmemoman.a.
 *
 * Every allocation and free takes constant time, however fragmented the heap is: the time with the
 * scheduler suspended is bounded. vPortGetHeapStats walks the heap for two figures: O(blocks).
 *
 * FreeRTOSConfig.h:
 *   configTOTAL_HEAP_SIZE            bytes of the heap, memoman's control structure included
 *   configAPPLICATION_ALLOCATED_HEAP 1: the application defines
 *                                    uint8_t ucHeap[configTOTAL_HEAP_SIZE]
 *   configMEMOMAN_MAX_BLOCK          largest request (default: the whole heap); a smaller one
 *                                    makes the control structure smaller
 *   configUSE_MALLOC_FAILED_HOOK, configASSERT, traceMALLOC, traceFREE
 *                                    as for FreeRTOS's own heaps
 * With several regions call vPortDefineHeapRegions before any allocation, as for heap_5.c. The
 * regions may come in any order.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "FreeRTOS.h"
#include "task.h"

#include <memoman.h>
#include <stdint.h>

#if defined(configHEAP_CLEAR_MEMORY_ON_FREE) && configHEAP_CLEAR_MEMORY_ON_FREE == 1
/* memoman checks a pointer in mm_free: clearing before that would write through a wrong pointer. */
#error "heap_memoman.c: no configHEAP_CLEAR_MEMORY_ON_FREE: clear secrets before vPortFree"
#endif

#ifndef configMEMOMAN_MAX_BLOCK
#define configMEMOMAN_MAX_BLOCK configTOTAL_HEAP_SIZE
#endif

#if configAPPLICATION_ALLOCATED_HEAP == 1
extern uint8_t ucHeap[configTOTAL_HEAP_SIZE];
#else
static uint8_t ucHeap[configTOTAL_HEAP_SIZE];
#endif

static mm_allocator_t *pxHeap;
static size_t xAllocations, xFrees;
/* The fewest free bytes since the mark was last reset; memoman's own peak counts since creation. */
static size_t xLowestFree = SIZE_MAX;

#if configUSE_MALLOC_FAILED_HOOK == 1
void vApplicationMallocFailedHook(void);
#endif

/* memoman's report of a double free, a foreign pointer or an overwritten header. The reported call
 * has no effect. */
static void prvMisuse(const char *pcMessage, const void *pvWhere, void *pvUser) {
    (void)pcMessage;
    (void)pvWhere;
    (void)pvUser;
    configASSERT(pcMessage == NULL);
}

/* The control structure is placed at the start of a region; the rest becomes a pool. */
static void prvCreate(uint8_t *pucStart, size_t xBytes) {
    size_t xSkip = (size_t)(-(uintptr_t)pucStart & (sizeof(void *) - 1));
    size_t xControl = xSkip + mm_size_for(configMEMOMAN_MAX_BLOCK);
    configASSERT(xBytes > xControl);
    pxHeap = mm_create_for(pucStart + xSkip, configMEMOMAN_MAX_BLOCK);
    configASSERT(pxHeap != NULL);
    mm_set_error_handler(pxHeap, prvMisuse, NULL);
    mm_pool_t *pxPool = mm_add_pool(pxHeap, pucStart + xControl, xBytes - xControl);
    configASSERT(pxPool != NULL);
    (void)pxPool;
}

static void prvNoteLowest(void) {
    mm_stats_t xStats;
    if (mm_stats(pxHeap, &xStats, sizeof xStats) && xStats.free < xLowestFree)
        xLowestFree = xStats.free;
}

void vPortInitialiseBlocks(void) {
    if (pxHeap == NULL) prvCreate(ucHeap, sizeof ucHeap);
}

void vPortDefineHeapRegions(const HeapRegion_t *const pxHeapRegions) {
    configASSERT(pxHeap == NULL);
    for (const HeapRegion_t *pxRegion = pxHeapRegions; pxRegion->xSizeInBytes > 0; pxRegion++) {
        if (pxHeap == NULL) {
            prvCreate(pxRegion->pucStartAddress, pxRegion->xSizeInBytes);
        } else {
            mm_pool_t *pxPool =
                mm_add_pool(pxHeap, pxRegion->pucStartAddress, pxRegion->xSizeInBytes);
            configASSERT(pxPool != NULL);
            (void)pxPool;
        }
    }
}

/* Ends an allocation that began by suspending the scheduler. */
static void *prvAllocated(void *pv, size_t xWantedSize) {
    if (pv != NULL) {
        xAllocations++;
        prvNoteLowest();
    }
    traceMALLOC(pv, xWantedSize);
    (void)xTaskResumeAll();
#if configUSE_MALLOC_FAILED_HOOK == 1
    if (pv == NULL && xWantedSize > 0) vApplicationMallocFailedHook();
#endif
    return pv;
}

void *pvPortMalloc(size_t xWantedSize) {
    vTaskSuspendAll();
    vPortInitialiseBlocks();
    return prvAllocated(mm_malloc(pxHeap, xWantedSize), xWantedSize);
}

void *pvPortCalloc(size_t xNum, size_t xSize) {
    size_t xBytes = xSize != 0 && xNum > SIZE_MAX / xSize ? SIZE_MAX : xNum * xSize;
    vTaskSuspendAll();
    vPortInitialiseBlocks();
    return prvAllocated(mm_calloc(pxHeap, xNum, xSize), xBytes);
}

void vPortFree(void *pv) {
    if (pv == NULL) return;
    vTaskSuspendAll();
    mm_stats_t xBefore, xAfter;
    mm_stats(pxHeap, &xBefore, sizeof xBefore);
    size_t xSize = mm_block_size(pv);
    mm_free(pxHeap, pv);
    mm_stats(pxHeap, &xAfter, sizeof xAfter);
    /* A reported misuse frees nothing. */
    if (xAfter.live_blocks < xBefore.live_blocks) {
        xFrees++;
        traceFREE(pv, xSize);
    }
    (void)xSize;
    (void)xTaskResumeAll();
}

size_t xPortGetFreeHeapSize(void) {
    mm_stats_t xStats;
    vTaskSuspendAll();
    vPortInitialiseBlocks();
    mm_stats(pxHeap, &xStats, sizeof xStats);
    (void)xTaskResumeAll();
    return xStats.free;
}

size_t xPortGetMinimumEverFreeHeapSize(void) {
    size_t xFree = xPortGetFreeHeapSize();
    return xLowestFree < xFree ? xLowestFree : xFree;
}

void xPortResetHeapMinimumEverFreeHeapSize(void) {
    xLowestFree = xPortGetFreeHeapSize();
}

static void prvCountFree(void *pv, size_t xSize, int iUsed, void *pvStats) {
    HeapStats_t *pxStats = pvStats;
    (void)pv;
    if (iUsed) return;
    pxStats->xNumberOfFreeBlocks++;
    if (xSize < pxStats->xSizeOfSmallestFreeBlockInBytes)
        pxStats->xSizeOfSmallestFreeBlockInBytes = xSize;
}

void vPortGetHeapStats(HeapStats_t *pxHeapStats) {
    mm_stats_t xStats;
    *pxHeapStats = (HeapStats_t){0};
    pxHeapStats->xMinimumEverFreeBytesRemaining = xPortGetMinimumEverFreeHeapSize();
    vTaskSuspendAll();
    mm_stats(pxHeap, &xStats, sizeof xStats);
    pxHeapStats->xAvailableHeapSpaceInBytes = xStats.free;
    pxHeapStats->xSizeOfLargestFreeBlockInBytes = xStats.largest;
    pxHeapStats->xNumberOfSuccessfulAllocations = xAllocations;
    pxHeapStats->xNumberOfSuccessfulFrees = xFrees;
    pxHeapStats->xSizeOfSmallestFreeBlockInBytes = SIZE_MAX;
    for (mm_pool_t *pxPool = mm_get_pool(pxHeap); pxPool != NULL;
         pxPool = mm_next_pool(pxHeap, pxPool))
        mm_walk_pool(pxPool, prvCountFree, pxHeapStats);
    if (pxHeapStats->xNumberOfFreeBlocks == 0) pxHeapStats->xSizeOfSmallestFreeBlockInBytes = 0;
    (void)xTaskResumeAll();
}

/* Called before a restart of the scheduler: drops all state; the next allocation makes a new
 * heap. */
void vPortHeapResetState(void) {
    pxHeap = NULL;
    xAllocations = xFrees = 0;
    xLowestFree = SIZE_MAX;
}
