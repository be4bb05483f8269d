/*
 * heap_memoman.c under a kernel of stubs: the FreeRTOS manual's promises of a heap, as assertions.
 * Each part starts from a reset heap. Exits with 0 only if all of them hold.
 */
#include "FreeRTOS.h"
#include "task.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int suspended, deepest, refused, asserted, traced_allocations, traced_frees;

void vTaskSuspendAll(void) {
    suspended++;
    if (suspended > deepest) deepest = suspended;
}
BaseType_t xTaskResumeAll(void) {
    suspended--;
    return 0;
}
void vApplicationMallocFailedHook(void) { refused++; }
void vAssertCalled(const char *file, int line) {
    (void)file;
    (void)line;
    asserted++;
}
void vTraceMalloc(void *address, size_t size) {
    (void)size;
    traced_allocations += address != NULL;
}
void vTraceFree(void *address, size_t size) {
    (void)address;
    (void)size;
    traced_frees++;
}

#define REQUIRE(condition)                                                                     \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            printf("FAILED: %s:%d: %s\n", __FILE__, __LINE__, #condition);                     \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

static void start(void) {
    vPortHeapResetState();
    suspended = deepest = refused = asserted = traced_allocations = traced_frees = 0;
}

static void serves_and_takes_back(void) {
    start();
    size_t whole = xPortGetFreeHeapSize();
    REQUIRE(whole > configTOTAL_HEAP_SIZE / 2 && whole < configTOTAL_HEAP_SIZE);
    char *a = pvPortMalloc(100), *b = pvPortMalloc(1000);
    REQUIRE(a != NULL && b != NULL && xPortGetFreeHeapSize() <= whole - 1100);
    memset(a, 1, 100);
    memset(b, 2, 1000);
    for (int i = 0; i < 100; i++) REQUIRE(a[i] == 1);
    vPortFree(a);
    vPortFree(b);
    vPortFree(NULL);
    REQUIRE(xPortGetFreeHeapSize() == whole);
    REQUIRE(traced_allocations == 2 && traced_frees == 2);
    REQUIRE(suspended == 0 && deepest == 1 && asserted == 0);
}

static void refuses_and_tells(void) {
    start();
    REQUIRE(pvPortMalloc(configTOTAL_HEAP_SIZE) == NULL && refused == 1);
    REQUIRE(pvPortMalloc(SIZE_MAX) == NULL && refused == 2);
    REQUIRE(pvPortMalloc(0) == NULL && refused == 2);
    REQUIRE(pvPortCalloc(SIZE_MAX / 2, 3) == NULL && refused == 3);
    REQUIRE(suspended == 0 && asserted == 0);
}

static void clears(void) {
    start();
    unsigned char *dirty = pvPortMalloc(512);
    memset(dirty, 0xFF, 512);
    vPortFree(dirty);
    unsigned char *clean = pvPortCalloc(64, 8);
    REQUIRE(clean == dirty);
    for (int i = 0; i < 512; i++) REQUIRE(clean[i] == 0);
    vPortFree(clean);
}

static void remembers_the_lowest_mark(void) {
    start();
    size_t whole = xPortGetFreeHeapSize();
    REQUIRE(xPortGetMinimumEverFreeHeapSize() == whole);
    void *a = pvPortMalloc(8000);
    size_t low = xPortGetFreeHeapSize();
    vPortFree(a);
    REQUIRE(xPortGetFreeHeapSize() == whole && xPortGetMinimumEverFreeHeapSize() == low);
    xPortResetHeapMinimumEverFreeHeapSize();
    REQUIRE(xPortGetMinimumEverFreeHeapSize() == whole);
    a = pvPortMalloc(4000);
    REQUIRE(xPortGetMinimumEverFreeHeapSize() == xPortGetFreeHeapSize());
    REQUIRE(xPortGetMinimumEverFreeHeapSize() > low);
    vPortFree(a);
}

static void counts(void) {
    start();
    HeapStats_t stats;
    void *block[5];
    for (int i = 0; i < 5; i++) block[i] = pvPortMalloc(200);
    vPortFree(block[1]);
    vPortFree(block[3]);
    vPortGetHeapStats(&stats);
    /* Two free blocks, and the rest of the heap. */
    REQUIRE(stats.xNumberOfFreeBlocks == 3);
    REQUIRE(stats.xSizeOfSmallestFreeBlockInBytes >= 200 &&
            stats.xSizeOfSmallestFreeBlockInBytes < 256);
    REQUIRE(stats.xNumberOfSuccessfulAllocations == 5 && stats.xNumberOfSuccessfulFrees == 2);
    REQUIRE(stats.xAvailableHeapSpaceInBytes == xPortGetFreeHeapSize());
    REQUIRE(stats.xMinimumEverFreeBytesRemaining < stats.xAvailableHeapSpaceInBytes);
    void *all = pvPortMalloc(stats.xSizeOfLargestFreeBlockInBytes);
    REQUIRE(all != NULL);
    REQUIRE(pvPortMalloc(300) == NULL && refused == 1);
    vPortFree(all);
    REQUIRE(suspended == 0 && deepest == 1);
}

static void misuse_is_asserted(void) {
    start();
    size_t whole = xPortGetFreeHeapSize();
    void *a = pvPortMalloc(64);
    vPortFree(a);
    vPortFree(a);
    HeapStats_t stats;
    vPortGetHeapStats(&stats);
    REQUIRE(asserted == 1 && traced_frees == 1 && stats.xNumberOfSuccessfulFrees == 1);
    REQUIRE(xPortGetFreeHeapSize() == whole && suspended == 0);
}

static uint8_t first[8 * 1024], second[4 * 1024];

static void regions(void) {
    start();
    const HeapRegion_t given[] = {
        {first + 1, sizeof first - 1}, {second, sizeof second}, {NULL, 0}};
    vPortDefineHeapRegions(given);
    REQUIRE(asserted == 0);
    bool in_first = false, in_second = false;
    char *block;
    while ((block = pvPortMalloc(512)) != NULL) {
        in_first |= (uint8_t *)block > first && (uint8_t *)block < first + sizeof first;
        in_second |= (uint8_t *)block > second && (uint8_t *)block < second + sizeof second;
        memset(block, 3, 512);
    }
    REQUIRE(in_first && in_second && refused == 1);
    vPortDefineHeapRegions(given);
    REQUIRE(asserted > 0);
}

int main(void) {
    serves_and_takes_back();
    refuses_and_tells();
    clears();
    remembers_the_lowest_mark();
    counts();
    misuse_is_asserted();
    regions();
    puts("heap_memoman.c keeps the FreeRTOS manual's promises of a heap");
    return 0;
}
