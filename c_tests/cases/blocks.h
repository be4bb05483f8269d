// Blocks whose misuse the compiler cannot see, and threads.
#ifndef CASES_BLOCKS_H
#define CASES_BLOCKS_H

#include <malloc.h>
#include <new>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef char *block;

// The compiler knows nothing about the pointer that it returns.
template <typename T> static T *opaque(T *pointer) {
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

static block get(size_t size) { return opaque((block)malloc(size)); }
static void put(void *pointer) { free(opaque(pointer)); }
static block resized(block pointer, size_t size) {
    return opaque((block)realloc(opaque(pointer), size));
}
static void write_at(block pointer, ptrdiff_t offset, int byte, size_t bytes) {
    memset(opaque(pointer) + offset, byte, bytes);
}
static size_t rounded(size_t size) { return (size + 15) & ~(size_t)15; }

// Exits with 3 if the byte is not the one that was written there.
static void expect(block pointer, size_t offset, char byte) {
    if (opaque(pointer)[offset] != byte) {
        _exit(3);
    }
}

static void in_thread(void *(*work)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, argument) != 0 || pthread_join(thread, NULL) != 0) {
        abort();
    }
}
static void *frees(void *pointer) {
    put(pointer);
    return NULL;
}

// A thread that exists before the misuse: starting it allocates.
static block handed_over;
static void *frees_what_is_handed_over(void *) {
    put(get(40));
    while (!__atomic_load_n(&handed_over, __ATOMIC_ACQUIRE)) {
        usleep(100);
    }
    put(handed_over);
    return NULL;
}
static pthread_t waiting_thread() {
    pthread_t thread;
    if (pthread_create(&thread, NULL, frees_what_is_handed_over, NULL) != 0) {
        abort();
    }
    return thread;
}
static void hand_over(pthread_t thread, block pointer) {
    __atomic_store_n(&handed_over, pointer, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
}
static void *allocates(void *size) { return get(*(size_t *)size); }

// A block of a thread that has ended.
static block of_ended_thread(size_t size) {
    pthread_t thread;
    void *pointer = NULL;
    if (pthread_create(&thread, NULL, allocates, &size) != 0) {
        abort();
    }
    pthread_join(thread, &pointer);
    return (block)pointer;
}

// Allocates and frees around a block, as a program goes on to do.
static void go_on(size_t size) {
    block blocks[40];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++) {
            blocks[i] = get(size);
            blocks[i][0] = (char)i;
        }
        for (int i = 0; i < 40; i++) {
            put(blocks[i]);
        }
    }
}

#define CASE(name) static void name(size_t n)

#endif
