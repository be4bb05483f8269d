/* Counts the calls of malloc and free, as a heap profiler does: see profiled.cpp. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

volatile unsigned counter_mallocs, counter_frees;

void *malloc(size_t bytes) {
    static void *(*next)(size_t);
    if (next == NULL) next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    counter_mallocs++;
    return next(bytes);
}

void free(void *pointer) {
    static void (*next)(void *);
    if (next == NULL) next = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    counter_frees++;
    next(pointer);
}
