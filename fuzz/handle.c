/* The handle API: a heap of up to six pools, operations decoded from the input, and a model of the
 * live blocks beside it. Every region is a malloc of exactly its size, so that AddressSanitizer
 * sees the first byte outside; every block is full of a pattern; after every operation the counters
 * are compared. */
#include "harness.h"

#define SLOTS 48
#define POOLS 6

typedef struct slot {
    unsigned char *block;
    size_t asked, usable, align;
    unsigned seed;
} slot;

typedef struct pool {
    unsigned char *memory; /* NULL: not there */
    size_t offset, bytes, capacity;
    mm_pool_t *handle;
} pool;

static struct heap {
    mm_allocator_t *allocator;
    unsigned char *control;
    size_t control_bytes;
    slot slots[SLOTS];
    pool pools[POOLS];
    size_t used, live, peak, failed, reports;
    unsigned seeds;
    mm_cursor_t cursor;
} heap;

#ifdef PLANTED
/* Loses a byte when the block moves. */
static void *planted_realloc(mm_allocator_t *allocator, void *ptr, size_t bytes) {
    unsigned char *block = mm_realloc(allocator, ptr, bytes);
    if (ptr && block != ptr && block) block[0] ^= 1;
    return block;
}
#define mm_realloc planted_realloc
#endif

static void on_misuse(const char *message, const void *ptr, void *user) {
    (void)ptr;
    CHECK(message != NULL);
    CHECK_PTR(user, &heap);
    heap.reports++;
}

static mm_stats_t compare(void) {
    mm_stats_t stats = heap_stats(heap.allocator);
    CHECK_EQ(stats.used, heap.used);
    CHECK_EQ(stats.live_blocks, heap.live);
    CHECK_EQ(stats.used + stats.free + stats.overhead, stats.pool_bytes);
    CHECK_GE(stats.peak, heap.used);
    CHECK_GE(stats.peak, heap.peak);
    heap.peak = stats.peak;
    return stats;
}

/* After a refusal at most the counter of failures has changed. */
static void refused(const mm_stats_t *before) {
    mm_stats_t now = compare();
    CHECK_LE(now.failed_requests - before->failed_requests, 1);
    CHECK_EQ(now.peak, before->peak);
    CHECK_EQ(now.largest, before->largest);
    CHECK_EQ(now.pool_bytes, before->pool_bytes);
    heap.failed = now.failed_requests;
}

static void adopt(slot *slot, unsigned char *block, size_t asked, size_t align) {
    size_t usable = mm_block_size(block);
    CHECK_GE(usable, asked);
    CHECK_EQ(misalignment(block, align > QUANTUM ? align : QUANTUM), 0);
    int inside = 0;
    for (size_t i = 0; i < POOLS; i++) {
        const pool *p = &heap.pools[i];
        inside |= p->memory && block >= p->memory + p->offset &&
                  block + usable <= p->memory + p->offset + p->bytes;
    }
    CHECK(inside);
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot *other = &heap.slots[i];
        if (other->block && other != slot)
            CHECK(block + usable <= other->block || other->block + other->usable <= block);
    }
    *slot = (struct slot){block, asked, usable, align, ++heap.seeds};
    fill(block, usable, slot->seed);
    heap.live++;
    heap.used += usable + HEADER;
}

static void forget(slot *slot) {
    heap.live--;
    heap.used -= slot->usable + HEADER;
    slot->block = NULL;
}

static void allocate(input *in, slot *slot, unsigned how) {
    mm_stats_t before = compare();
    size_t n = take_size(in), align = 1;
    unsigned char *block;
    /* `may`: the request can succeed; `must`: it must. */
    int may = n != 0 && n <= before.largest, must = may;
    if (how == 0) {
        block = mm_malloc(heap.allocator, n);
    } else if (how == 1) {
        size_t count = take_size(in);
        block = mm_calloc(heap.allocator, count, n);
        int overflows = n && count > SIZE_MAX / n;
        n *= count;
        may = must = !overflows && n != 0 && n <= before.largest;
        for (size_t i = 0; block && may && i < n; i++) CHECK_EQ(block[i], 0);
    } else {
        align = take_size(in);
        block = how == 2 ? mm_memalign(heap.allocator, align, n)
                         : mm_realloc_aligned(heap.allocator, NULL, align, n);
        if (align == 0 || (align & (align - 1))) may = must = 0;
        /* A larger alignment needs room for its gap. */
        if (align > QUANTUM) must = 0;
    }
    if (block) {
        CHECK(may);
        adopt(slot, block, n, align);
    } else {
        CHECK(!must);
        refused(&before);
    }
}

static void resize(input *in, slot *slot, int aligned) {
    mm_stats_t before = compare();
    size_t n = take_size(in), align = aligned ? take_size(in) : 1;
    int valid = align && !(align & (align - 1));
    CHECK_FILLED(slot->block, slot->usable, slot->seed);
    struct slot old = *slot;
    unsigned char *block = aligned ? mm_realloc_aligned(heap.allocator, old.block, align, n)
                                   : mm_realloc(heap.allocator, old.block, n);
    if (n == 0 && valid) {
        CHECK_NULL(block);
        forget(slot);
    } else if (block) {
        CHECK(valid);
        CHECK_FILLED(block, n < old.usable ? n : old.usable, old.seed);
        forget(slot);
        adopt(slot, block, n, align);
    } else {
        CHECK_EQ(mm_block_size(old.block), old.usable);
        CHECK_FILLED(old.block, old.usable, old.seed);
        CHECK(!valid || n > old.usable || align > QUANTUM);
        refused(&before);
    }
}

static void release(slot *slot) {
    unsigned char *block = slot->block;
    CHECK_FILLED(block, slot->usable, slot->seed);
    forget(slot);
    mm_free(heap.allocator, block);
}

/* Misuse: exactly one report, and nothing changes. */
static void misuse(input *in, slot *slot) {
    unsigned char local[64], *wrong = local + 16;
    unsigned what = take(in) % 5;
    if (slot->block && what < 3) {
        wrong = slot->block;
        if (what == 0)
            wrong += 1 + take(in) % (QUANTUM - 1);
        else
            release(slot);
    } else if (what == 3) {
        wrong = (unsigned char *)(uintptr_t)(take(in) + 1);
    }
    mm_stats_t before = compare();
    size_t reports = heap.reports;
    if (what == 2)
        CHECK_NULL(mm_realloc(heap.allocator, wrong, 100));
    else
        mm_free(heap.allocator, wrong);
    CHECK_EQ(heap.reports, reports + 1);
    refused(&before);
    CHECK_EQ(heap.failed, before.failed_requests);
}

static int has_live(const pool *p) {
    for (size_t i = 0; i < SLOTS; i++) {
        const unsigned char *block = heap.slots[i].block;
        if (block && block >= p->memory && block < p->memory + p->capacity) return 1;
    }
    return 0;
}

static void add_pool(input *in, pool *p) {
    size_t offset = take(in) % (2 * QUANTUM), bytes = take16(in) % 6000, room = take(in);
    unsigned char *memory = malloc(offset + bytes + room + 1);
    CHECK(memory != NULL);
    memset(memory, 0xFF, offset + bytes + room + 1);
    uintptr_t start = round_up((uintptr_t)memory + offset, QUANTUM);
    uintptr_t end = ((uintptr_t)memory + offset + bytes) / QUANTUM * QUANTUM;
    mm_stats_t before = compare();
    mm_pool_t *handle = mm_add_pool(heap.allocator, memory + offset, bytes);
    CHECK_EQ(handle != NULL, end >= start + mm_pool_overhead() + MIN_USABLE);
    mm_stats_t now = compare();
    if (!handle) {
        refused(&before);
        free(memory);
        return;
    }
    CHECK_EQ(now.pool_bytes - before.pool_bytes, end - start);
    *p = (pool){memory, offset, bytes, offset + bytes + room, handle};
}

/* A region that overlaps a pool or the control structure. */
static void add_overlap(input *in, const pool *p) {
    mm_stats_t before = compare();
    unsigned char *low = p->memory ? (unsigned char *)p->handle : (unsigned char *)heap.allocator;
    size_t bytes =
        p->memory ? (size_t)(p->memory + p->offset + p->bytes - low) : heap.control_bytes;
    unsigned char *byte = low + take16(in) % bytes;
    size_t front = take(in), back = 1 + take16(in);
    CHECK_NULL(mm_add_pool(heap.allocator, byte - front, front + back));
    refused(&before);
}

static void change_pools(input *in, unsigned how) {
    pool *p = &heap.pools[take(in) % POOLS];
    mm_stats_t before = compare();
    if (how == 1) {
        add_overlap(in, p);
    } else if (!p->memory) {
        add_pool(in, p);
    } else if (how == 0) {
        size_t room = p->capacity - p->offset - p->bytes, more = take(in);
        if (more > room) more = room;
        if (mm_extend_pool(heap.allocator, p->handle, more)) {
            CHECK(more > 0);
            p->bytes += more;
        } else {
            CHECK(more < MIN_USABLE + HEADER + QUANTUM);
            refused(&before);
        }
    } else {
        int live = has_live(p);
        int removed =
            mm_remove_pool(heap.allocator, how == 2 ? (void *)p->handle : p->memory + p->offset);
        CHECK_EQ(removed, !live);
        if (removed) {
            /* The next access to it is a use after free. */
            if (p->memory != heap.control) free(p->memory);
            p->memory = NULL;
        } else {
            refused(&before);
        }
    }
}

/* `largest` bytes are served, and one byte more is refused. */
static void largest(slot *slot) {
    mm_stats_t before = compare();
    CHECK_NULL(mm_malloc(heap.allocator, before.largest + 1));
    refused(&before);
    unsigned char *block = mm_malloc(heap.allocator, before.largest);
    CHECK_EQ(block != NULL, before.largest != 0);
    if (block) adopt(slot, block, before.largest, 1);
}

static void reset(void) {
    for (size_t i = 0; i < SLOTS; i++) heap.slots[i].block = NULL;
    CHECK_EQ(mm_reset(heap.allocator), 1);
    heap.used = heap.live = heap.peak = 0;
    CHECK_EQ(compare().failed_requests, 0);
}

static int begin(input *in) {
    memset(&heap, 0, sizeof heap);
    unsigned geometry = take(in);
    size_t most = POWER(geometry % 44), pool_bytes = geometry % 3 == 2 ? take16(in) % 4000 : 0;
    size_t offset = pool_bytes ? take(in) % 32 : 0;
    heap.control_bytes = geometry % 3 == 1 ? mm_size_for(most) : mm_size();
    size_t bytes = heap.control_bytes + pool_bytes;
    heap.control = malloc(offset + bytes);
    CHECK(heap.control != NULL);
    memset(heap.control, 0xFF, offset + bytes);
    if (geometry % 3 == 2) {
        heap.allocator = mm_create_with_pool(heap.control + offset, bytes);
        if (heap.allocator) {
            mm_pool_t *handle = mm_get_pool(heap.allocator);
            CHECK(handle != NULL);
            size_t front = (size_t)((unsigned char *)handle - heap.control);
            heap.pools[0] =
                (pool){heap.control, front, offset + bytes - front, offset + bytes, handle};
        }
    } else {
        heap.allocator =
            geometry % 3 == 1 ? mm_create_for(heap.control, most) : mm_create(heap.control);
        CHECK(heap.allocator != NULL);
    }
    if (!heap.allocator) {
        free(heap.control);
        return 0;
    }
    mm_set_error_handler(heap.allocator, on_misuse, &heap);
    return 1;
}

static void finish(void) {
    HEAP_SOUND(heap.allocator);
    for (size_t i = 0; i < SLOTS; i++)
        if (heap.slots[i].block) release(&heap.slots[i]);
    compare();
    heap_walk walk = heap_walked(heap.allocator, 0);
    CHECK_EQ(walk.blocks, walk.pools);
    HEAP_SOUND(heap.allocator);
    for (size_t i = 0; i < POOLS; i++)
        if (heap.pools[i].memory) {
            CHECK_EQ(mm_remove_pool(heap.allocator, heap.pools[i].handle), 1);
            if (heap.pools[i].memory != heap.control) free(heap.pools[i].memory);
        }
    CHECK_EQ(compare().pool_bytes, 0);
    mm_destroy(heap.allocator);
    free(heap.control);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    if (!begin(&in)) return 0;
    for (size_t number = 1; in.left; number++) {
        unsigned what = take(&in) % 32;
        slot *slot = &heap.slots[take(&in) % SLOTS];
        if (what >= 28)
            change_pools(&in, what - 28);
        else if (what == 27)
            misuse(&in, slot);
        else if (what == 26)
            CHECK(mm_validate_step(heap.allocator, &heap.cursor, take(&in)) != 0);
        else if (what == 25 && take(&in) < 16)
            reset();
        else if (!slot->block && what == 24)
            largest(slot);
        else if (!slot->block)
            allocate(&in, slot, what % 4);
        else if (what < 14)
            release(slot);
        else
            resize(&in, slot, what % 2);
        compare();
        if (number % 16 == 0) CHECK(mm_validate(heap.allocator));
    }
    finish();
    return 0;
}
