/* free, with no, one or two free neighbours, whose bins become empty or not. */
#include "bed.h"

enum { PREV = 1, NEXT = 2 };

/* Frees a block between the free neighbours that `mask` names. With `filled`, every bin that a
 * block leaves or enters holds another block. */
static void free_block(struct bed *bed, int mask, int filled, size_t scale) {
    size_t prev_bytes = 3 * scale - 8, bytes = 4 * scale - 8, next_bytes = 6 * scale - 8;
    size_t merged = 4 * scale + (mask & PREV ? 3 * scale : 0) + (mask & NEXT ? 6 * scale : 0) - 8;
    void *twins[3] = {0}, *walls[3] = {0};
    void *front = take(bed, 1000);
    void *prev = take(bed, prev_bytes), *p = take(bed, bytes), *next = take(bed, next_bytes);
    void *back = take(bed, 1000);
    if (filled) {
        size_t sizes[3] = {prev_bytes, next_bytes, merged};
        for (int i = 0; i < 3; i++) {
            twins[i] = take(bed, sizes[i]);
            walls[i] = take(bed, 1000);
        }
        for (int i = 0; i < 3; i++) {
            mm_free(bed->a, twins[i]);
        }
    }
    if (mask & PREV) {
        mm_free(bed->a, prev);
    }
    if (mask & NEXT) {
        mm_free(bed->a, next);
    }
    static const char *before[2][4] = {
        {"uuuuuf", "ufuuuf", "uuufuf", "ufufuf"},
        {"uuuuufufufuf", "ufuuufufufuf", "uuufufufufuf", "ufufufufufuf"},
    };
    static const char *after[2][4] = {
        {"uufuuf", "ufuuf", "uufuf", "ufuf"},
        {"uufuufufufuf", "ufuufufufuf", "uufufufufuf", "ufufufufuf"},
    };
    EXPECT(bed, before[filled][mask]);
    MEASURE(bed, mm_free, bed->a, p, 0, 0);
    EXPECT(bed, after[filled][mask]);
    if (!(mask & PREV)) {
        mm_free(bed->a, prev);
    }
    if (!(mask & NEXT)) {
        mm_free(bed->a, next);
    }
    mm_free(bed->a, front);
    mm_free(bed->a, back);
    for (int i = 0; i < 3; i++) {
        mm_free(bed->a, walls[i]);
    }
}

static void none(struct bed *bed) { free_block(bed, 0, 0, 1024); }
static void previous(struct bed *bed) { free_block(bed, PREV, 0, 1024); }
static void next(struct bed *bed) { free_block(bed, NEXT, 0, 1024); }
static void both(struct bed *bed) { free_block(bed, PREV | NEXT, 0, 1024); }
static void none_filled(struct bed *bed) { free_block(bed, 0, 1, 1024); }
static void previous_filled(struct bed *bed) { free_block(bed, PREV, 1, 1024); }
static void next_filled(struct bed *bed) { free_block(bed, NEXT, 1, 1024); }
static void both_filled(struct bed *bed) { free_block(bed, PREV | NEXT, 1, 1024); }
static void none_small(struct bed *bed) { free_block(bed, 0, 0, 32); }
static void previous_small(struct bed *bed) { free_block(bed, PREV, 0, 32); }
static void next_small(struct bed *bed) { free_block(bed, NEXT, 0, 32); }
static void both_small(struct bed *bed) { free_block(bed, PREV | NEXT, 0, 32); }

/* The last block merges with the huge block after it. */
static void last(struct bed *bed) {
    void *p = take(bed, 4096);
    EXPECT(bed, "uf");
    MEASURE(bed, mm_free, bed->a, p, 0, 0);
    EXPECT(bed, "f");
}

const struct state_of_call states_of_free[] = {
    {"free-no-neighbour-free", none, 0},
    {"free-previous-free", previous, 0},
    {"free-next-free", next, 0},
    {"free-both-free", both, 0},
    {"free-no-neighbour-free-bins-filled", none_filled, 0},
    {"free-previous-free-bins-filled", previous_filled, 0},
    {"free-next-free-bins-filled", next_filled, 0},
    {"free-both-free-bins-filled", both_filled, 0},
    {"free-no-neighbour-free-128-bytes", none_small, 0},
    {"free-previous-free-128-bytes", previous_small, 0},
    {"free-next-free-128-bytes", next_small, 0},
    {"free-both-free-128-bytes", both_small, 0},
    {"free-next-huge", last, 0},
    {0},
};
