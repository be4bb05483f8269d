#include "heap.h"

/* Word n of the pattern: the seed shows in the first word, the place in every other. */
#define STEP UINT64_C(0x9E3779B97F4A7C15)
static uint64_t first_word(unsigned seed) {
    return ((uint64_t)seed + 1) * UINT64_C(0xD6E8FEB86659FD93);
}

/* The pattern is made word by word, so that filling and comparing cost about as much as memset and
 * memcmp: the soak test runs at that speed. */
void fill(void *start, size_t bytes, unsigned seed) {
    unsigned char *to = start;
    uint64_t word = first_word(seed);
    size_t i = 0;
    for (; bytes - i >= sizeof word; i += sizeof word, word += STEP)
        memcpy(to + i, &word, sizeof word);
    if (i < bytes) memcpy(to + i, &word, bytes - i);
}

size_t filled(const void *start, size_t bytes, unsigned seed) {
    const unsigned char *from = start;
    uint64_t word = first_word(seed), found;
    size_t i = 0;
    /* Eight words at a time without a branch; then by words and by bytes, up to the first
     * difference. */
    for (; bytes - i >= 8 * sizeof word; i += 8 * sizeof word) {
        uint64_t difference = 0;
        for (size_t j = 0; j < 8; j++) {
            memcpy(&found, from + i + j * sizeof word, sizeof word);
            difference |= found ^ (word + j * STEP);
        }
        if (difference) break;
        word += 8 * STEP;
    }
    for (; bytes - i >= sizeof word; i += sizeof word, word += STEP) {
        memcpy(&found, from + i, sizeof word);
        if (found != word) break;
    }
    const unsigned char *expected = (const unsigned char *)&word;
    for (size_t j = 0; j < sizeof word && i < bytes && from[i] == expected[j]; j++) i++;
    return i;
}
