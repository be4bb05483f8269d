/*
 * A heap manager for NuttX over memoman (CONFIG_MM_CUSTOMIZE_MANAGER): add this file to the board's
 * sources and libmemoman.a to EXTRA_LIBS. Both have functions of the names mm_malloc, mm_free,
 * mm_calloc, mm_realloc and mm_memalign: memoman's are renamed in the library, and here,
 *
 *     objcopy --redefine-syms=names libmemoman.a
 *
 * Each call takes constant time with interrupts masked, also in interrupt handlers, apart from
 * clearing and copying. NuttX's own managers hold a mutex instead, and put off what an interrupt
 * frees. A thread that ends frees its stack while it runs on it: such a block waits for the next
 * call on the heap.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define mm_malloc memoman_malloc
#define mm_free memoman_free
#define mm_calloc memoman_calloc
#define mm_realloc memoman_realloc
#define mm_memalign memoman_memalign
#include <memoman.h>
#undef mm_malloc
#undef mm_free
#undef mm_calloc
#undef mm_realloc
#undef mm_memalign

#include <nuttx/config.h>

#include <assert.h>
#include <debug.h>
#include <malloc.h>
#include <nuttx/irq.h>
#include <nuttx/mm/mm.h>
#include <nuttx/sched.h>
#include <stdint.h>
#include <string.h>
#include <syslog.h>

#if defined(CONFIG_MM_HEAP_MEMPOOL) || defined(CONFIG_MM_KASAN)
#error "mm_memoman.c: neither CONFIG_MM_HEAP_MEMPOOL_THRESHOLD nor CONFIG_MM_KASAN"
#endif

/* A block that was freed by a thread that still runs on it. */
struct delayed_s {
    struct delayed_s *next;
};

struct region_s {
    mm_pool_t *pool;
    uint8_t *end;
};

/* At the start of the heap's memory; memoman's control structure follows it. */
struct mm_heap_s {
    mm_allocator_t *allocator;
    struct delayed_s *delayed;
    size_t bytes;
    int regions;
    struct region_s region[CONFIG_MM_REGIONS];
};

static void on_misuse(const char *what, const void *where, void *user) {
    (void)user;
    syslog(LOG_EMERG, "memoman: %s: %p\n", what, where);
    PANIC();
}

/* Takes in a region: its memory, and where it begins for mm_brkaddr. */
static void add(struct mm_heap_s *heap, void *start, size_t bytes) {
    irqstate_t flags = enter_critical_section();
    if (heap->regions < CONFIG_MM_REGIONS) {
        struct region_s *region = &heap->region[heap->regions];
        region->pool = mm_add_pool(heap->allocator, start, bytes);
        region->end = (uint8_t *)start + bytes;
        DEBUGASSERT(region->pool != NULL);
        heap->regions++;
        heap->bytes += bytes;
    }
    leave_critical_section(flags);
}

/* Frees one block that was delayed. */
static bool free_delayed(struct mm_heap_s *heap) {
    irqstate_t flags = enter_critical_section();
    struct delayed_s *block = heap->delayed;
    if (block != NULL) {
        heap->delayed = block->next;
        memoman_free(heap->allocator, block);
    }
    leave_critical_section(flags);
    return block != NULL;
}

struct mm_heap_s *mm_initialize(const char *name, void *start, size_t bytes) {
    (void)name;
    uintptr_t at = ((uintptr_t)start + 7) & ~(uintptr_t)7, end = (uintptr_t)start + bytes;
    struct mm_heap_s *heap = (struct mm_heap_s *)at;
    /* Requests as large as the heap; regions added later may be larger, but not their blocks. */
    size_t control = mm_size_for(bytes), begin = at + sizeof *heap + control;
    DEBUGASSERT(end > begin);
    memset(heap, 0, sizeof *heap);
    heap->allocator = mm_create_for(heap + 1, bytes);
    mm_set_error_handler(heap->allocator, on_misuse, NULL);
    add(heap, (void *)begin, end - begin);
    return heap;
}

void mm_uninitialize(struct mm_heap_s *heap) { mm_destroy(heap->allocator); }

void mm_addregion(struct mm_heap_s *heap, void *start, size_t bytes) { add(heap, start, bytes); }

void mm_extend(struct mm_heap_s *heap, void *mem, size_t bytes, int region) {
    DEBUGASSERT(region < heap->regions && mem == heap->region[region].end);
    (void)mem;
    irqstate_t flags = enter_critical_section();
    if (mm_extend_pool(heap->allocator, heap->region[region].pool, bytes)) {
        heap->region[region].end += bytes;
        heap->bytes += bytes;
    }
    leave_critical_section(flags);
}

void *mm_brkaddr(struct mm_heap_s *heap, int region) {
    DEBUGASSERT(region < heap->regions);
    return heap->region[region].end;
}

/* A request of memoman, repeated after each delayed block that is freed. */
#define SERVE(heap, request)                                                                   \
    void *block;                                                                               \
    (void)free_delayed(heap);                                                                  \
    do {                                                                                       \
        irqstate_t flags = enter_critical_section();                                           \
        block = request;                                                                       \
        leave_critical_section(flags);                                                         \
    } while (block == NULL && free_delayed(heap));                                             \
    return block

/* As NuttX: 0 bytes are one. */
static size_t at_least_one(size_t bytes) { return bytes != 0 ? bytes : 1; }

void *mm_malloc(struct mm_heap_s *heap, size_t bytes) {
    SERVE(heap, memoman_malloc(heap->allocator, at_least_one(bytes)));
}

void *mm_memalign(struct mm_heap_s *heap, size_t align, size_t bytes) {
    SERVE(heap, memoman_memalign(heap->allocator, align, at_least_one(bytes)));
}

void *mm_realloc(struct mm_heap_s *heap, void *old, size_t bytes) {
    SERVE(heap, memoman_realloc(heap->allocator, old, at_least_one(bytes)));
}

void *mm_zalloc(struct mm_heap_s *heap, size_t bytes) {
    void *block = mm_malloc(heap, bytes);
    if (block != NULL) memset(block, 0, bytes);
    return block;
}

void *mm_calloc(struct mm_heap_s *heap, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) return NULL;
    return mm_zalloc(heap, count * size);
}

void mm_free(struct mm_heap_s *heap, void *mem) {
    if (mem == NULL) return;
    irqstate_t flags = enter_critical_section();
    if (_SCHED_GETTID() < 0) {
        /* In the middle of a context switch: the block may be the stack of this thread. */
        struct delayed_s *block = mem;
        block->next = heap->delayed;
        heap->delayed = block;
    } else {
        memoman_free(heap->allocator, mem);
    }
    leave_critical_section(flags);
}

void mm_free_delaylist(struct mm_heap_s *heap) {
    while (heap != NULL && free_delayed(heap)) {}
}

size_t mm_malloc_size(struct mm_heap_s *heap, void *mem) {
    (void)heap;
    return mm_block_size(mem);
}

bool mm_heapmember(struct mm_heap_s *heap, void *mem) {
    return mm_get_pool_for_ptr(heap->allocator, mem) != NULL;
}

static mm_stats_t figures(struct mm_heap_s *heap) {
    mm_stats_t stats = {0};
    irqstate_t flags = enter_critical_section();
    mm_stats(heap->allocator, &stats, sizeof stats);
    leave_critical_section(flags);
    return stats;
}

size_t mm_heapfree(struct mm_heap_s *heap) { return figures(heap).free; }

size_t mm_heapfree_largest(struct mm_heap_s *heap) { return figures(heap).largest; }

static void count_free(void *block, size_t bytes, int used, void *user) {
    (void)block;
    (void)bytes;
    if (!used) ++*(int *)user;
}

/* Calls `visit` for each block: O(blocks), with interrupts masked for one region at a time. */
static void walk(struct mm_heap_s *heap, mm_walker visit, void *user) {
    for (int region = 0; region < heap->regions; region++) {
        irqstate_t flags = enter_critical_section();
        mm_walk_pool(heap->region[region].pool, visit, user);
        leave_critical_section(flags);
    }
}

struct mallinfo mm_mallinfo(struct mm_heap_s *heap) {
    mm_stats_t stats = figures(heap);
    struct mallinfo info = {0};
    info.arena = (int)heap->bytes;
    info.fordblks = (int)stats.free;
    info.uordblks = info.arena - info.fordblks;
    info.aordblks = (int)stats.live_blocks;
    info.mxordblk = (int)stats.largest;
    info.usmblks = (int)stats.peak;
    walk(heap, count_free, &info.ordblks);
    return info;
}

/* Blocks have no owner: the figures of all used blocks, or of the free ones. */
struct mallinfo_task mm_mallinfo_task(struct mm_heap_s *heap, const struct malltask *task) {
    struct mallinfo info = mm_mallinfo(heap);
    struct mallinfo_task sum = {0};
    if (task->pid == PID_MM_FREE) {
        sum.aordblks = info.ordblks;
        sum.uordblks = info.fordblks;
    } else if (task->pid == PID_MM_ALLOC) {
        sum.aordblks = info.aordblks;
        sum.uordblks = info.uordblks;
    }
    return sum;
}

static void dump(void *block, size_t bytes, int used, void *user) {
    const struct mm_memdump_s *wanted = user;
    if (used ? wanted->pid == PID_MM_ALLOC : wanted->pid == PID_MM_FREE)
        syslog(LOG_INFO, "%12lu %p\n", (unsigned long)bytes, block);
}

void mm_memdump(struct mm_heap_s *heap, const struct mm_memdump_s *wanted) {
    walk(heap, dump, (void *)(uintptr_t)wanted);
}

#ifdef CONFIG_DEBUG_MM
void mm_checkcorruption(struct mm_heap_s *heap) {
    irqstate_t flags = enter_critical_section();
    int sound = mm_validate(heap->allocator);
    leave_critical_section(flags);
    DEBUGASSERT(sound);
    (void)sound;
}
#endif
