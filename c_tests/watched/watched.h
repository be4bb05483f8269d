/* A heap in a static array, for a program with one bug that a memory checker must report. */
#ifndef WATCHED_H
#define WATCHED_H
#include <memoman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char memory[256 * 1024];

/* Hides the bug from the compiler. */
static inline char *hidden(void *block) {
    char *volatile pointer = block;
    return pointer;
}

/* The line with the bug: the report must name it. */
static void bug(mm_allocator_t *heap);

int main(void) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    if (!heap) return 2;
    bug(heap);
    puts("not reported");
    return 0;
}

#endif
