#include "heap.h"

static unsigned char pattern(size_t i, unsigned seed) {
    return (unsigned char)((seed * 131u) ^ (i * 7u) ^ (i >> 8) ^ (seed >> 8));
}

void fill(void *start, size_t bytes, unsigned seed) {
    unsigned char *to = start;
    for (size_t i = 0; i < bytes; i++) to[i] = pattern(i, seed);
}

size_t filled(const void *start, size_t bytes, unsigned seed) {
    const unsigned char *from = start;
    size_t i = 0;
    /* By pieces that a compiler can compare at once; the piece with the difference byte by byte. */
    enum { PIECE = 64 };
    for (; bytes - i >= PIECE; i += PIECE) {
        unsigned char difference = 0;
        for (size_t j = i; j < i + PIECE; j++) difference |= from[j] ^ pattern(j, seed);
        if (difference) break;
    }
    while (i < bytes && from[i] == pattern(i, seed)) i++;
    return i;
}
