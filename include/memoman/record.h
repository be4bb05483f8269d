/*
 * memoman: an allocator's events as records of 16 bytes, for processors without files. The page
 * "Firmware records" describes the format. C99 and C++; needs nothing but memoman.h.
 *
 *     static void send(const void *record, size_t bytes, void *user) { … your UART … }
 *     static mm_recorder_t recorder = {send};
 *     mm_record_start(&recorder, heap);
 *
 * The small library has no observers, and mm_record_start returns 0. There the linker replaces the
 * calls: define MM_RECORD_WRAP in one C file, before this header, to a function of yours that
 * returns the recorder of an allocator, or NULL, and link with
 *     -Wl,--wrap=mm_malloc,--wrap=mm_calloc,--wrap=mm_memalign,--wrap=mm_realloc,--wrap=mm_free
 *     -Wl,--wrap=mm_add_pool,--wrap=mm_remove_pool,--wrap=mm_reset
 * (those that the program calls; with --gc-sections the linker removes the functions for the
 * others from a file compiled with -ffunction-sections). Each recorded call then is one of the
 * program's own.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef MEMOMAN_RECORD_H
#define MEMOMAN_RECORD_H

#include "../memoman.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the format, and the bytes of a record. */
#define MM_RECORD_VERSION 1
#define MM_RECORD_BYTES 16

/* Kinds beside MM_EVENT_MALLOC to MM_EVENT_RESET. */
#define MM_RECORD_BEFORE 254
#define MM_RECORD_HEADER 255

/* Where the records of one allocator go. All members but `write` may be 0. */
typedef struct mm_recorder_t {
    /* Sends `bytes` bytes. It may not change the allocator. */
    void (*write)(const void *record, size_t bytes, void *user);
    /* For `write` and `ticks`. */
    void *user;
    /* The time, modulo 2^32; NULL without a clock. */
    uint32_t (*ticks)(void *user);
    uint32_t ticks_per_second;
    /* Distinguishes the allocators of a program. */
    unsigned char heap;
    /* Of the next record; begins at 0. */
    unsigned char sequence;
} mm_recorder_t;

static inline void mm_record_word(unsigned char *to, uint32_t word) {
    int i;
    for (i = 0; i < 4; i++) to[i] = (unsigned char)(word >> (8 * i));
}

/* The binary logarithm of a power of two; 0 of 0. */
static inline unsigned char mm_record_log2(size_t power) {
    unsigned char log = 0;
    while (power > 1) {
        power >>= 1;
        log++;
    }
    return log;
}

static inline void mm_record_send(mm_recorder_t *recorder, int kind, unsigned char second,
                                  uint32_t pointer, uint32_t bytes, uint32_t time) {
    unsigned char record[MM_RECORD_BYTES];
    record[0] = (unsigned char)kind;
    record[1] = second;
    record[2] = recorder->heap;
    record[3] = recorder->sequence++;
    mm_record_word(record + 4, pointer);
    mm_record_word(record + 8, bytes);
    mm_record_word(record + 12, time);
    recorder->write(record, sizeof record, recorder->user);
}

static inline void mm_record_raw(mm_recorder_t *recorder, int kind, size_t align,
                                 const void *pointer, size_t bytes) {
    const int unit = sizeof(void *) > 4 ? 4 : 0;
    const uint32_t most = 0xFFFFFFFFu;
    if (recorder->sequence == 0)
        mm_record_send(recorder, MM_RECORD_HEADER, MM_RECORD_VERSION, 0x31524D4Du,
                       recorder->ticks_per_second,
                       (uint32_t)sizeof(void *) | (uint32_t)unit << 8);
    mm_record_send(recorder, kind, mm_record_log2(align), (uint32_t)((uintptr_t)pointer >> unit),
                   bytes > most ? most : (uint32_t)bytes,
                   recorder->ticks ? recorder->ticks(recorder->user) : 0);
}

/* An observer, whose `user` is an mm_recorder_t. */
static inline void mm_record(const mm_event_t *event, void *user) {
    mm_recorder_t *recorder = (mm_recorder_t *)user;
    if (event->old_ptr != NULL)
        mm_record_raw(recorder, MM_RECORD_BEFORE, 0, event->old_ptr, event->block_bytes);
    mm_record_raw(recorder, event->kind, event->align, event->ptr,
                  event->kind == MM_EVENT_FREE ? event->block_bytes : event->bytes);
}

static inline void mm_record_block(void *ptr, size_t size, int used, void *user) {
    if (used) mm_record_raw((mm_recorder_t *)user, MM_EVENT_MALLOC, 0, ptr, size);
}

static inline int mm_record_inside(mm_allocator_t *allocator, mm_pool_t *pool, size_t offset) {
    return mm_get_pool_for_ptr(allocator, (const char *)(void *)pool + offset) == pool;
}

/* The pool's bytes: the first offset that is not inside it. */
static inline size_t mm_record_pool_bytes(mm_allocator_t *allocator, mm_pool_t *pool) {
    size_t inside = 0, step = 1;
    while (mm_record_inside(allocator, pool, inside + step)) {
        inside += step;
        step *= 2;
    }
    for (; step != 0; step /= 2)
        if (mm_record_inside(allocator, pool, inside + step)) inside += step;
    return inside + 1;
}

/* Sends the allocator's pools and blocks in use, a block's size in place of the bytes requested,
 * and then a record for each event. Returns 1; 0 if the allocator takes no observer, which the
 * small library never does. */
static inline int mm_record_start(mm_recorder_t *recorder, mm_allocator_t *allocator) {
    mm_pool_t *pool;
    for (pool = mm_get_pool(allocator); pool != NULL; pool = mm_next_pool(allocator, pool)) {
        mm_record_raw(recorder, MM_EVENT_POOL_ADDED, 0, pool,
                      mm_record_pool_bytes(allocator, pool));
        mm_walk_pool(pool, mm_record_block, recorder);
    }
    return mm_set_observer(allocator, mm_record, recorder);
}

#ifdef MM_RECORD_WRAP

mm_recorder_t *MM_RECORD_WRAP(mm_allocator_t *allocator);

static inline void mm_record_call(mm_allocator_t *allocator, int kind, void *ptr, void *old,
                                  size_t bytes, size_t align) {
    mm_recorder_t *recorder = MM_RECORD_WRAP(allocator);
    if (recorder == NULL) return;
    if (old != NULL) mm_record_raw(recorder, MM_RECORD_BEFORE, 0, old, 0);
    mm_record_raw(recorder, kind, align, ptr, bytes);
}

static inline void *mm_record_result(mm_allocator_t *allocator, int kind, void *ptr, void *old,
                                     size_t bytes, size_t align) {
    if (ptr == NULL) kind = MM_EVENT_FAILED;
    if (bytes != 0) mm_record_call(allocator, kind, ptr, old, bytes, align);
    return ptr;
}

void *__real_mm_malloc(mm_allocator_t *, size_t);
void *__wrap_mm_malloc(mm_allocator_t *, size_t);
void *__wrap_mm_malloc(mm_allocator_t *a, size_t bytes) {
    return mm_record_result(a, MM_EVENT_MALLOC, __real_mm_malloc(a, bytes), NULL, bytes, 0);
}

void *__real_mm_calloc(mm_allocator_t *, size_t, size_t);
void *__wrap_mm_calloc(mm_allocator_t *, size_t, size_t);
void *__wrap_mm_calloc(mm_allocator_t *a, size_t count, size_t size) {
    size_t bytes = size != 0 && count > (size_t)-1 / size ? (size_t)-1 : count * size;
    return mm_record_result(a, MM_EVENT_CALLOC, __real_mm_calloc(a, count, size), NULL, bytes, 0);
}

void *__real_mm_memalign(mm_allocator_t *, size_t, size_t);
void *__wrap_mm_memalign(mm_allocator_t *, size_t, size_t);
void *__wrap_mm_memalign(mm_allocator_t *a, size_t align, size_t bytes) {
    size_t wanted = align & (align - 1) || align == 0 ? 0 : bytes;
    void *ptr = __real_mm_memalign(a, align, bytes);
    return mm_record_result(a, MM_EVENT_MEMALIGN, ptr, NULL, wanted, align);
}

void *__real_mm_realloc(mm_allocator_t *, void *, size_t);
void *__wrap_mm_realloc(mm_allocator_t *, void *, size_t);
void *__wrap_mm_realloc(mm_allocator_t *a, void *old, size_t bytes) {
    int kind = old != NULL ? MM_EVENT_REALLOC : MM_EVENT_MALLOC;
    void *ptr = __real_mm_realloc(a, old, bytes);
    if (old != NULL && bytes == 0) mm_record_call(a, MM_EVENT_FREE, old, NULL, 0, 0);
    return mm_record_result(a, kind, ptr, old, bytes, 0);
}

void __real_mm_free(mm_allocator_t *, void *);
void __wrap_mm_free(mm_allocator_t *, void *);
void __wrap_mm_free(mm_allocator_t *a, void *ptr) {
    __real_mm_free(a, ptr);
    if (ptr != NULL) mm_record_call(a, MM_EVENT_FREE, ptr, NULL, 0, 0);
}

mm_pool_t *__real_mm_add_pool(mm_allocator_t *, void *, size_t);
mm_pool_t *__wrap_mm_add_pool(mm_allocator_t *, void *, size_t);
mm_pool_t *__wrap_mm_add_pool(mm_allocator_t *a, void *mem, size_t bytes) {
    mm_pool_t *pool = __real_mm_add_pool(a, mem, bytes);
    uintptr_t end = ((uintptr_t)mem + bytes) & ~(uintptr_t)(2 * sizeof(void *) - 1);
    if (pool != NULL)
        mm_record_call(a, MM_EVENT_POOL_ADDED, pool, NULL, (size_t)(end - (uintptr_t)pool), 0);
    return pool;
}

int __real_mm_remove_pool(mm_allocator_t *, void *);
int __wrap_mm_remove_pool(mm_allocator_t *, void *);
int __wrap_mm_remove_pool(mm_allocator_t *a, void *mem_or_pool) {
    uintptr_t skip = (0 - (uintptr_t)mem_or_pool) & (2 * sizeof(void *) - 1);
    int removed = __real_mm_remove_pool(a, mem_or_pool);
    if (removed)
        mm_record_call(a, MM_EVENT_POOL_REMOVED, (char *)mem_or_pool + skip, NULL, 0, 0);
    return removed;
}

int __real_mm_reset(mm_allocator_t *);
int __wrap_mm_reset(mm_allocator_t *);
int __wrap_mm_reset(mm_allocator_t *a) {
    int done = __real_mm_reset(a);
    if (done) mm_record_call(a, MM_EVENT_RESET, NULL, NULL, 0, 0);
    return done;
}

#endif /* MM_RECORD_WRAP */

#ifdef __cplusplus
}
#endif

#endif /* MEMOMAN_RECORD_H */
