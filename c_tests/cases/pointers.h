// Blocks that are freed twice, and pointers to no block.
#ifndef CASES_POINTERS_H
#define CASES_POINTERS_H

#include "blocks.h"

// ---- freed twice ----

CASE(double_free) {
    block p = get(n);
    put(p);
    put(p);
}
CASE(double_free_of_empty) {
    block p = get(0);
    put(p);
    put(get(n));
    put(get(0));
    put(p);
}
CASE(realloc_of_freed_empty) {
    block p = get(0);
    put(p);
    put(resized(p, n));
}
CASE(free_inside_empty) {
    block p = get(0);
    put(p + 1 + n % 15);
}
CASE(double_free_after_another) {
    block a = get(n), b = get(n);
    put(a);
    put(b);
    put(a);
}
CASE(double_free_after_a_hundred) {
    block all[101];
    for (int i = 0; i < 101; i++) {
        all[i] = get(n);
    }
    for (int i = 0; i < 101; i++) {
        put(all[i]);
    }
    put(all[0]);
}
CASE(double_free_after_other_sizes) {
    block p = get(n);
    put(p);
    put(get(2 * n));
    put(get(n / 2));
    put(p);
}
CASE(double_free_after_merge) {
    block a = get(n), b = get(n), c = get(n);
    put(a);
    put(c);
    put(b);
    malloc_trim(0);
    put(b);
}
CASE(double_free_after_reuse) {
    block p = get(n);
    put(p);
    block q = get(n);
    put(p);
    put(q);
}
CASE(double_free_by_other_thread) {
    pthread_t thread = waiting_thread();
    block p = get(n);
    put(p);
    hand_over(thread, p);
}
CASE(double_free_after_other_thread) {
    pthread_t thread = waiting_thread();
    block p = get(n);
    hand_over(thread, p);
    put(p);
}
CASE(double_free_of_ended_thread) {
    block p = of_ended_thread(n);
    put(p);
    put(p);
}
CASE(double_free_after_realloc_moved) {
    block p = get(n);
    block wall = get(n), q = resized(p, 3 * n + 64);
    put(p);
    put(q);
    put(wall);
}
CASE(double_free_after_realloc_to_zero) {
    block p = get(n);
    resized(p, 0);
    put(p);
}
CASE(double_free_of_calloc) {
    block p = opaque((block)calloc(1, n));
    put(p);
    put(p);
}
CASE(double_free_of_aligned) {
    block p = opaque((block)aligned_alloc(256, (n + 255) & ~(size_t)255));
    put(p);
    put(p);
}
CASE(double_delete) {
    void *p = opaque(operator new(n));
    operator delete(opaque(p));
    operator delete(opaque(p));
}
CASE(double_delete_array) {
    void *p = opaque(operator new[](n));
    operator delete[](opaque(p));
    operator delete[](opaque(p));
}
CASE(realloc_of_freed) {
    block p = get(n);
    put(p);
    resized(p, n);
}
CASE(realloc_of_freed_to_more) {
    block p = get(n);
    put(p);
    resized(p, 2 * n);
}
CASE(realloc_of_freed_to_zero) {
    block p = get(n);
    put(p);
    resized(p, 0);
}
CASE(usable_size_of_freed) {
    block p = get(n);
    put(p);
    malloc_usable_size(opaque(p));
}

// ---- pointers to no block ----

CASE(free_8_inside) { put(get(n) + 8); }
CASE(free_16_inside) { put(get(n) + 16); }
CASE(free_1_inside) { put(get(n) + 1); }
CASE(free_in_the_middle) {
    block p = get(n);
    memset(p, 0, n);
    put(p + rounded(n / 2));
}
CASE(free_the_end) { put(get(n) + rounded(n)); }
CASE(free_before) { put(get(n) - 16); }
CASE(free_far_behind) { put(get(n) + ((size_t)1 << 30)); }
CASE(free_stack) {
    char here[64];
    write_at(here, 0, (int)n, sizeof here);
    put(here + 16 - (uintptr_t)here % 16);
}
CASE(free_static) {
    static char here[1 << 16] __attribute__((aligned(16)));
    put(here + rounded(n) % 4096);
}
CASE(free_text) { put((void *)("text" + n % 2)); }
CASE(free_code) { put((void *)((uintptr_t)free_text + n % 2)); }
CASE(free_thread_local) {
    static thread_local long here[8];
    put(here + n % 2);
}
static void *frees_own_stack(void *) {
    free_stack(64);
    return NULL;
}
CASE(free_stack_of_thread) { in_thread(frees_own_stack, &n); }
CASE(free_environment) { put(getenv("PATH") + n % 2); }
CASE(free_small_number) { put((void *)n); }
CASE(free_minus_16) { put((void *)-(intptr_t)(16 + n % 2)); }
CASE(free_no_address) { put((void *)(0x4141414141414140 + n % 2)); }
CASE(free_mapped_page) {
    put(mmap(NULL, rounded(n) + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
CASE(free_page_without_access) {
    put(mmap(NULL, rounded(n) + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
CASE(free_uninitialised) {
    block p = get(n), q = get(n);
    memset(p, 'p', n);
    put(p);
    put(q);
    p = get(n);
    put(*(void **)opaque(p + 16));
}
CASE(realloc_of_stack) {
    char here[64];
    resized(here + 16 - (uintptr_t)here % 16, n);
}
CASE(realloc_16_inside) { resized(get(n) + 16, n); }
CASE(realloc_in_the_middle) {
    block p = get(n);
    memset(p, 0, n);
    resized(p + rounded(n / 2), 2 * n);
}
CASE(usable_size_16_inside) { malloc_usable_size(opaque(get(n) + 16)); }
CASE(usable_size_of_stack) {
    char here[64];
    write_at(here, 0, (int)n, sizeof here);
    malloc_usable_size(opaque(here + 16 - (uintptr_t)here % 16));
}

#endif
