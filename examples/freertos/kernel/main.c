/*
 * heap_memoman.c in the FreeRTOS kernel, on a Cortex-M4F: preempted tasks allocate and free beside
 * each other, send blocks through a queue, are made and deleted. scripts/rtos.sh runs it in QEMU.
 */
#include "../../firmware/require.h"
#include "FreeRTOS.h"
#include "queue.h"
#include "task.h"

#include <stdbool.h>
#include <string.h>

enum { WORKERS = 4, STEPS = 4000, SLOTS = 8, LARGEST = 700, SHORT_LIVED = 50 };

static QueueHandle_t queue;
static volatile int ended, asserted, refused, short_lived, received;
static volatile bool expected;

void assert_failed(int line) {
    asserted++;
    if (expected) return;
    host_print("assertion in line ");
    host_print_number((unsigned long)line);
    host_print("\n");
    host_exit(1);
}
void vApplicationMallocFailedHook(void) { refused++; }
void vApplicationStackOverflowHook(TaskHandle_t task, char *name) {
    (void)task;
    host_print(name);
    host_print(": stack overflow\n");
    host_exit(1);
}

static uint32_t next(uint32_t *state) {
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Blocks with contents of its own; every sixteenth goes through the queue to the receiver. */
static void worker(void *argument) {
    const unsigned char mark = (unsigned char)(uintptr_t)argument;
    uint32_t state = mark;
    struct { unsigned char *block; size_t bytes; } slots[SLOTS] = {{0}};
    for (int step = 0; step < STEPS; step++) {
        const unsigned at = next(&state) % SLOTS;
        if (slots[at].block != NULL) {
            for (size_t i = 0; i < slots[at].bytes; i++) REQUIRE(slots[at].block[i] == mark);
            if (step % 16 == 0) {
                REQUIRE(xQueueSend(queue, &slots[at].block, portMAX_DELAY) == pdPASS);
            } else {
                vPortFree(slots[at].block);
            }
            slots[at].block = NULL;
        } else {
            slots[at].bytes = next(&state) % LARGEST + 1;
            slots[at].block = pvPortMalloc(slots[at].bytes);
            if (slots[at].block != NULL) memset(slots[at].block, mark, slots[at].bytes);
        }
    }
    for (int i = 0; i < SLOTS; i++) vPortFree(slots[i].block);
    taskENTER_CRITICAL();
    ended++;
    taskEXIT_CRITICAL();
    vTaskDelete(NULL);
}

/* Frees what others have allocated. */
static void receiver(void *argument) {
    (void)argument;
    for (;;) {
        unsigned char *block;
        if (xQueueReceive(queue, &block, portMAX_DELAY) != pdPASS) continue;
        REQUIRE(block[0] >= 1 && block[0] <= WORKERS);
        vPortFree(block);
        received++;
    }
}

static void mayfly(void *argument) {
    vPortFree(argument);
    short_lived++;
    vTaskDelete(NULL);
}

static void judge(void *argument) {
    (void)argument;
    vTaskDelay(2);
    for (uintptr_t i = 1; i <= WORKERS; i++)
        REQUIRE(xTaskCreate(worker, "worker", 256, (void *)i, 1 + i % 2, NULL) == pdPASS);
    int made = 0;
    while (made < SHORT_LIVED || ended < WORKERS) {
        void *given = pvPortMalloc(32);
        if (made < SHORT_LIVED && xTaskCreate(mayfly, "mayfly", 128, given, 2, NULL) == pdPASS) {
            made++;
        } else {
            vPortFree(given);
        }
        vTaskDelay(1);
    }
    /* The idle task frees the stacks of deleted tasks. */
    vTaskDelay(10);
    REQUIRE(short_lived == made && received > 100 && asserted == 0);

    HeapStats_t stats;
    vPortGetHeapStats(&stats);
    REQUIRE(stats.xAvailableHeapSpaceInBytes == xPortGetFreeHeapSize());
    REQUIRE(stats.xMinimumEverFreeBytesRemaining < stats.xAvailableHeapSpaceInBytes);
    /* In use: two queue structures at most, the stacks and control blocks of three tasks. */
    const size_t live = stats.xNumberOfSuccessfulAllocations - stats.xNumberOfSuccessfulFrees;
    REQUIRE(live >= 5 && live <= 8);
    REQUIRE(stats.xNumberOfFreeBlocks <= live + 1);

    REQUIRE(pvPortMalloc(configTOTAL_HEAP_SIZE) == NULL && refused > 0);
    void *block = pvPortMalloc(64);
    vPortFree(block);
    expected = true;
    vPortFree(block);
    REQUIRE(asserted == 1);
    host_print("allocations ");
    host_print_number(stats.xNumberOfSuccessfulAllocations);
    host_print("\nreceived ");
    host_print_number((unsigned long)received);
    host_print("\nsound\n");
    host_exit(0);
}

int main(void) {
    queue = xQueueCreate(4, sizeof(unsigned char *));
    REQUIRE(queue != NULL);
    REQUIRE(xTaskCreate(receiver, "receiver", 128, NULL, 3, NULL) == pdPASS);
    REQUIRE(xTaskCreate(judge, "judge", 256, NULL, 3, NULL) == pdPASS);
    vTaskStartScheduler();
    return 1;
}
