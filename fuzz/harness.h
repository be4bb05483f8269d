/* Shared by the fuzz targets: decisions read from the input, and the suite's checks, which here end
 * the process, so that the fuzzer keeps the input. Built by scripts/fuzz.sh; -DPLANTED builds each
 * target with a bug that its own corpus must find. */
#ifndef HARNESS_H
#define HARNESS_H

#include "heap.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Intentional bugs in the library's fuzz build: src/planted.rs. */
unsigned char mm_planted_read(const unsigned char *place);
void mm_planted_word(unsigned char *data, size_t size);

/* The rest of the input; reads as zeros at its end. */
typedef struct input {
    const uint8_t *at;
    size_t left;
} input;

static inline unsigned take(input *in) {
    if (!in->left) return 0;
    in->left--;
    return *in->at++;
}

static inline size_t take16(input *in) {
    size_t low = take(in);
    return low | (size_t)take(in) << 8;
}

static inline size_t take_word(input *in) {
    size_t word = 0;
    for (size_t i = 0; i < sizeof word; i++) word |= (size_t)take(in) << 8 * i;
    return word;
}

/* A size: below 128 in one byte, up to 16 KiB in two, and 2^k - 128 … 2^k + 127 for every k, which
 * wraps below zero to SIZE_MAX. */
static inline size_t take_size(input *in) {
    unsigned first = take(in);
    if (first < 0x80) return first;
    if (first < 0xC0) return (size_t)(first & 0x3F) << 8 | take(in);
    return POWER(first & 0x3F) + (size_t)(signed char)take(in);
}

#endif
