/* The pools of heap.h, by `memoman plan`, serve the counts of classes.toml in any order. */
#include "heap.h"

#include <stdint.h>

static int fill(void *(*take)(void), void **blocks, int count) {
    for (int i = 0; i < count; i++)
        if ((blocks[i] = take()) == NULL) return 0;
    return 1;
}

int main(void) {
    void *frames[6], *lines[4], *notes[50];
    if (heap_init() != 0) return 1;
    for (int round = 0; round < 100; round++) {
        if (!fill(note_alloc, notes, 50) || !fill(frame_alloc, frames, 6)) return 2;
        if (!fill(line_alloc, lines, 4)) return 3;
        for (int i = 0; i < 4; i++)
            if ((uintptr_t)lines[i] % 64 != 0) return 4;
        for (int i = 0; i < 50; i++) note_free(notes[i * 7 % 50]);
        for (int i = 0; i < 6; i++) frame_free(frames[i * 5 % 6]);
        for (int i = 0; i < 4; i++) line_free(lines[i]);
    }
    return 0;
}
