/*
 * The C library's malloc family over memoman, for firmware with picolibc or newlib: add this file
 * to the program. Blocks that the C library allocates for itself, as strdup and printf do, then
 * come from memoman, too.
 *
 * HEAP_BYTES is the heap's size. With newlib, the functions that its own parts call have names of
 * their own, `_malloc_r` and so on: without them strdup's block would come from newlib's heap, and
 * `free` of it would be misuse of this one.
 *
 * A program with interrupts or tasks that allocate defines HEAP_LOCK() and HEAP_UNLOCK(). One
 * function may call the first and another one the second. So on a Cortex-M the first masks
 * interrupts and keeps the old PRIMASK in a static variable, from which the second restores it.
 * As in these C libraries, a request of 0 bytes gives a block.
 */
#include <errno.h>
#include <memoman.h>
#include <stddef.h>

#ifndef HEAP_BYTES
#define HEAP_BYTES (16 * 1024)
#endif
#ifndef HEAP_LOCK
#define HEAP_LOCK() ((void)0)
#define HEAP_UNLOCK() ((void)0)
#endif

static unsigned char memory[HEAP_BYTES] __attribute__((aligned(16)));
static mm_allocator_t *heap;

/* The heap of this file, for mm_stats and mm_set_error_handler. */
mm_allocator_t *malloc_heap(void);

mm_allocator_t *malloc_heap(void) {
    if (heap == NULL) heap = mm_create_with_pool(memory, sizeof memory);
    return heap;
}

static size_t at_least_one(size_t bytes) { return bytes != 0 ? bytes : 1; }

static void *answered(void *block) {
    HEAP_UNLOCK();
    if (block == NULL) errno = ENOMEM;
    return block;
}

void *malloc(size_t bytes) {
    HEAP_LOCK();
    return answered(mm_malloc(malloc_heap(), at_least_one(bytes)));
}

void free(void *block) {
    HEAP_LOCK();
    mm_free(malloc_heap(), block);
    HEAP_UNLOCK();
}

void *calloc(size_t count, size_t bytes) {
    HEAP_LOCK();
    if (count == 0 || bytes == 0) count = bytes = 1;
    return answered(mm_calloc(malloc_heap(), count, bytes));
}

void *realloc(void *block, size_t bytes) {
    if (block == NULL) return malloc(bytes);
    HEAP_LOCK();
    void *moved = mm_realloc(malloc_heap(), block, bytes);
    HEAP_UNLOCK();
    /* A size of 0 frees the block. */
    if (moved == NULL && bytes != 0) errno = ENOMEM;
    return moved;
}

static int is_power_of_two(size_t align) { return align != 0 && (align & (align - 1)) == 0; }

void *memalign(size_t align, size_t bytes) {
    if (!is_power_of_two(align)) return errno = EINVAL, NULL;
    HEAP_LOCK();
    return answered(mm_memalign(malloc_heap(), align, at_least_one(bytes)));
}

void *aligned_alloc(size_t align, size_t bytes) { return memalign(align, bytes); }

int posix_memalign(void **out, size_t align, size_t bytes) {
    if (align % sizeof(void *) != 0 || !is_power_of_two(align)) return EINVAL;
    HEAP_LOCK();
    void *block = mm_memalign(malloc_heap(), align, at_least_one(bytes));
    HEAP_UNLOCK();
    if (block == NULL) return ENOMEM;
    *out = block;
    return 0;
}

size_t malloc_usable_size(void *block) { return block == NULL ? 0 : mm_block_size(block); }

#ifdef __NEWLIB__
struct _reent;

void *_malloc_r(struct _reent *reent, size_t bytes) { return (void)reent, malloc(bytes); }
void _free_r(struct _reent *reent, void *block) { (void)reent, free(block); }
void *_calloc_r(struct _reent *reent, size_t count, size_t bytes) {
    return (void)reent, calloc(count, bytes);
}
void *_realloc_r(struct _reent *reent, void *block, size_t bytes) {
    return (void)reent, realloc(block, bytes);
}
void *_memalign_r(struct _reent *reent, size_t align, size_t bytes) {
    return (void)reent, memalign(align, bytes);
}
size_t _malloc_usable_size_r(struct _reent *reent, void *block) {
    return (void)reent, malloc_usable_size(block);
}
#endif
