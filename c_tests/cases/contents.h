// Writes around blocks, and uses of freed and of fresh ones.
#ifndef CASES_CONTENTS_H
#define CASES_CONTENTS_H

#include "blocks.h"

// ---- writes beyond the end and before the start ----

// Writes over the end of the first of three blocks, and frees them.
static void overflow(size_t n, size_t bytes, int byte) {
    block p = get(n), next = get(n), after = get(n);
    write_at(p, (ptrdiff_t)n, byte, bytes);
    put(p);
    put(next);
    put(after);
}
CASE(overflow_by_1) { overflow(n, 1, 'A'); }
CASE(overflow_by_1_zero) { overflow(n, 1, 0); }
CASE(overflow_by_8) { overflow(n, 8, 'A'); }
CASE(overflow_by_16) { overflow(n, 16, 'A'); }
CASE(overflow_by_16_zeros) { overflow(n, 16, 0); }
CASE(overflow_by_32) { overflow(n, 32, 'A'); }
CASE(overflow_by_64) { overflow(n, 64, 'A'); }
CASE(overflow_by_a_page) { overflow(n, 4096, 'A'); }
CASE(overflow_of_usable_by_1) {
    block p = get(n);
    write_at(p, (ptrdiff_t)malloc_usable_size(p), 'A', 1);
    put(p);
}
CASE(overflow_of_usable_by_8) {
    block p = get(n);
    write_at(p, (ptrdiff_t)malloc_usable_size(p), 'A', 8);
    put(p);
}
CASE(overflow_upwards) {
    block low = get(n), high = get(n);
    if (low > high) {
        block other = low;
        low = high;
        high = other;
    }
    write_at(low, (ptrdiff_t)n, 'A', 32);
    put(high);
    put(low);
}
CASE(overflow_of_reused) {
    put(get(n));
    overflow(n, 16, 'A');
}
CASE(overflow_into_freed) {
    block p = get(n), next = get(n);
    put(next);
    write_at(p, (ptrdiff_t)n, 'A', 32);
    go_on(n);
    put(p);
}
CASE(overflow_then_realloc) {
    block p = get(n);
    write_at(p, (ptrdiff_t)n, 'A', 32);
    resized(p, 2 * n);
}
CASE(overflow_then_realloc_to_less) {
    block p = get(n);
    write_at(p, (ptrdiff_t)n, 'A', 32);
    resized(p, n / 2);
}
CASE(overflow_of_calloc) {
    block p = opaque((block)calloc(1, n));
    write_at(p, (ptrdiff_t)n, 'A', 32);
    put(p);
}
CASE(overflow_of_aligned) {
    block p = opaque((block)aligned_alloc(256, n));
    write_at(p, (ptrdiff_t)n, 'A', 32);
    put(p);
}
CASE(overflow_of_grown) {
    block p = resized(get(n), 2 * n);
    write_at(p, (ptrdiff_t)(2 * n), 'A', 32);
    put(p);
}
CASE(overflow_of_new) {
    block p = opaque((block) operator new(n));
    write_at(p, (ptrdiff_t)n, 'A', 32);
    operator delete(opaque(p));
}
CASE(overflow_freed_by_other_thread) {
    block p = get(n);
    write_at(p, (ptrdiff_t)n, 'A', 32);
    in_thread(frees, p);
    go_on(n);
}
CASE(overflow_never_freed) { write_at(get(n), (ptrdiff_t)n, 'A', 32); }
CASE(overflow_by_1_never_freed) { write_at(get(n), (ptrdiff_t)n, 'A', 1); }
CASE(overflow_at_31) {
    block p = get(n);
    write_at(p, (ptrdiff_t)n + 31, 'A', 1);
    put(p);
}
CASE(write_into_empty) {
    block p = get(0);
    write_at(p, 0, 'A', 1 + n % 8);
    put(p);
}
CASE(write_before_empty) {
    put(get(n));
    block p = get(0);
    write_at(p, -8, 'A', 8);
    put(p);
}
CASE(write_into_empty_of_calloc) {
    block p = opaque((block)calloc(0, n));
    write_at(p, 0, 'A', 1);
    put(p);
}
CASE(read_empty) {
    block p = get(0);
    volatile char first = opaque(p)[0];
    (void)first;
    put(p);
    put(get(n));
}

static void underflow(size_t n, size_t bytes) {
    block before = get(n), p = get(n);
    write_at(p, -(ptrdiff_t)bytes, 'A', bytes);
    put(p);
    put(before);
}
CASE(underflow_by_1) { underflow(n, 1); }
CASE(underflow_by_8) { underflow(n, 8); }
CASE(underflow_by_16) { underflow(n, 16); }
CASE(underflow_by_32) { underflow(n, 32); }
CASE(underflow_then_realloc) {
    block p = get(n);
    write_at(p, -8, 'A', 8);
    resized(p, 2 * n);
}
CASE(underflow_of_aligned) {
    block p = opaque((block)aligned_alloc(256, n));
    write_at(p, -8, 'A', 8);
    put(p);
}
CASE(underflow_of_zeros_never_freed) { write_at(get(n), -32, 0, 8); }
CASE(underflow_never_freed) { write_at(get(n), -16, 'A', 16); }

// ---- writes and reads after free ----

static void write_freed(size_t n, size_t offset, size_t bytes) {
    block p = get(n), wall = get(n);
    put(p);
    write_at(p, (ptrdiff_t)offset, 'A', bytes);
    go_on(n);
    put(wall);
}
CASE(write_freed_byte) { write_freed(n, 0, 1); }
CASE(write_freed_word) { write_freed(n, 0, 8); }
CASE(write_freed_second_word) { write_freed(n, 8, 8); }
CASE(write_freed_third_word) { write_freed(n, 16, 8); }
CASE(write_freed_in_the_middle) { write_freed(n, n / 2, 8); }
CASE(write_freed_last_word) { write_freed(n, n - 8, 8); }
CASE(write_freed_whole) { write_freed(n, 0, n); }
CASE(write_freed_at_the_end) {
    block p = get(n);
    put(p);
    write_at(p, 0, 'A', 16);
}
CASE(write_freed_whole_at_the_end) {
    block p = get(n);
    put(p);
    write_at(p, 0, 'A', n);
}
CASE(write_freed_by_other_thread) {
    block p = get(n);
    in_thread(frees, p);
    write_at(p, 0, 'A', 16);
    go_on(n);
}
CASE(write_moved) {
    block p = get(n), wall = get(n);
    block q = resized(p, 3 * n + 64);
    write_at(p, 0, 'A', 16);
    go_on(n);
    put(q);
    put(wall);
}
CASE(write_cut_off) {
    block p = get(n), q = resized(p, n / 4);
    write_at(p, (ptrdiff_t)(n - 8), 'A', 8);
    put(q);
}
CASE(write_deleted) {
    block p = opaque((block) operator new(n));
    operator delete(opaque(p));
    write_at(p, 0, 'A', 16);
    for (int i = 0; i < 5; i++) {
        p = opaque((block) operator new(n));
        write_at(p, 0, 'B', n);
    }
}
CASE(read_freed) {
    block p = get(n);
    memset(p, 'p', n);
    put(p);
    expect(p, 0, 'p');
}
CASE(read_freed_in_the_middle) {
    block p = get(n);
    memset(p, 'p', n);
    put(p);
    expect(p, n / 2 + 4, 'p');
}
CASE(read_moved) {
    block p = get(n), wall = get(n);
    memset(p, 'p', n);
    block q = resized(p, 3 * n + 64);
    expect(p, n / 2 + 4, 'p');
    put(q);
    put(wall);
}
CASE(read_uninitialised) {
    block p = get(n);
    memset(p, 'p', n);
    put(p);
    block q = get(n);
    if (p == q) {
        expect(q, n / 2 + 4, 'p');
    } else if (opaque(q)[n / 2 + 4] != 0) {
        _exit(3);
    }
}

#endif
