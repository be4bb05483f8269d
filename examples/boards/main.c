/*
 * One firmware for every board: traffic on a heap in a static array, its contents checked; how many
 * instructions a call takes, in an emulator whose clock counts them; the RAM that a heap takes.
 * scripts/boards.sh builds and runs it.
 */
#include "../firmware/semihosting.h"
#include <memoman.h>
#include <stdint.h>

enum { POOL = 8 * 1024, SLOTS = 24, LARGEST = 2048, STEPS = 20000 };

static size_t control[1024 / sizeof(size_t)];
static unsigned char pool[POOL] __attribute__((aligned(8)));
static struct { unsigned char *block; unsigned bytes; } slots[SLOTS];

static void print(const char *name, unsigned long value) {
    host_print(name);
    host_print(" ");
    host_print_number(value);
    host_print("\n");
}

/* A clock that advances by the same amount with each instruction: SysTick, or the cycle counter. */
static void clock_start(void) {
#ifndef __riscv
    volatile uint32_t *systick = (volatile uint32_t *)0xE000E010;
    systick[1] = 0xFFFFFF;
    systick[2] = 0;
    systick[0] = 5; /* on, the processor's clock, no interrupt */
#endif
}

static inline uint32_t clock_now(void) {
#ifdef __riscv
    uint32_t now;
    __asm__ volatile("csrr %0, mcycle" : "=r"(now) : : "memory");
    return now;
#else
    __asm__ volatile("" : : : "memory");
    uint32_t now = ((volatile uint32_t *)0xE000E010)[2];
    __asm__ volatile("" : : : "memory");
    return 0xFFFFFF - now;
#endif
}

static inline uint32_t since(uint32_t begin) {
#ifdef __riscv
    return clock_now() - begin;
#else
    return (clock_now() - begin) & 0xFFFFFF;
#endif
}

#define NOPS_16 "nop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\n"

/* Ticks of 64 instructions, and of a reading of the clock alone. */
static uint32_t ticks_of_64, ticks_of_none;

static void calibrate(void) {
    uint32_t begin = clock_now();
    ticks_of_none = since(begin);
    begin = clock_now();
    __asm__ volatile(NOPS_16 NOPS_16 NOPS_16 NOPS_16);
    ticks_of_64 = since(begin) - ticks_of_none;
}

static uint32_t instructions(uint32_t begin) {
    uint32_t ticks = since(begin) - ticks_of_none;
    return (ticks * 64 + ticks_of_64 / 2) / ticks_of_64;
}

/* malloc and free of one size, when a freed block of that size is there: the most common pair. */
static void measure_pair(mm_allocator_t *heap) {
    mm_free(heap, mm_malloc(heap, 64));
    uint32_t begin = clock_now();
    void *block = mm_malloc(heap, 64);
    mm_free(heap, block);
    print("pair", instructions(begin));
}

static unsigned traffic(mm_allocator_t *heap) {
    uint32_t seed = 1, got = 0, refused = 0, bad = 0, malloc_most = 0, free_most = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned k = (seed >> 8) % SLOTS, bytes = 1 + (seed >> 13) % 700;
        unsigned char *block = slots[k].block;
        if (block != NULL) {
            for (unsigned j = 0; j < slots[k].bytes; j++) bad += block[j] != k;
            if (seed >> 30 != 0) {
                uint32_t begin = clock_now();
                mm_free(heap, block);
                uint32_t took = instructions(begin);
                if (took > free_most) free_most = took;
                slots[k].block = NULL;
                continue;
            }
            block = mm_realloc(heap, block, bytes);
            if (block == NULL) continue;
        } else {
            uint32_t begin = clock_now();
            block = mm_malloc(heap, bytes);
            uint32_t took = instructions(begin);
            if (took > malloc_most) malloc_most = took;
            if (block == NULL) {
                refused++;
                continue;
            }
            got++;
        }
        slots[k].block = block;
        slots[k].bytes = bytes;
        for (unsigned j = 0; j < bytes; j++) block[j] = (unsigned char)k;
    }
    for (unsigned k = 0; k < SLOTS; k++) mm_free(heap, slots[k].block);
    print("got", got);
    print("refused", refused);
    print("malloc", malloc_most);
    print("free", free_most);
    return bad;
}

int main(void) {
    if (mm_size_for(LARGEST) > sizeof control) return 2;
    mm_allocator_t *heap = mm_create_for(control, LARGEST);
    if (heap == NULL || mm_add_pool(heap, pool, sizeof pool) == NULL) return 3;
    clock_start();
    calibrate();
    if (ticks_of_64 == 0) return 4;
    measure_pair(heap);
    unsigned bad = traffic(heap);
    for (unsigned kib = 4; kib <= 64; kib *= 4) {
        host_print("ram_");
        host_print_number(kib);
        print("", mm_size_for(kib * 1024) + mm_pool_overhead());
    }
    mm_stats_t stats;
    mm_stats(heap, &stats, sizeof stats);
    if (bad != 0 || stats.live_blocks != 0 || !mm_validate(heap)) return 1;
    host_print("sound\n");
    return 0;
}
