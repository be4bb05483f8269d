#include "engine.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* The engines whose logs a failure writes to files. */
#define ENGINES_MAX 16
static engine *engines[ENGINES_MAX];
static pthread_mutex_t engines_lock = PTHREAD_MUTEX_INITIALIZER;

static void *handle_malloc(engine *e, size_t bytes) {
    return mm_malloc(e->allocator, bytes);
}
static void *handle_calloc(engine *e, size_t count, size_t size) {
    return mm_calloc(e->allocator, count, size);
}
static void *handle_memalign(engine *e, size_t align, size_t bytes) {
    return mm_memalign(e->allocator, align, bytes);
}
static void *handle_realloc(engine *e, void *ptr, size_t bytes) {
    return mm_realloc(e->allocator, ptr, bytes);
}
static void *handle_realloc_aligned(engine *e, void *ptr, size_t align, size_t bytes) {
    return mm_realloc_aligned(e->allocator, ptr, align, bytes);
}
static void handle_free(engine *e, void *ptr) {
    mm_free(e->allocator, ptr);
}
static int handle_validate(engine *e) {
    return mm_validate(e->allocator);
}
static mm_stats_t handle_stats(engine *e) {
    return heap_stats(e->allocator);
}

const engine_front engine_handle = {
    handle_malloc, handle_calloc, handle_memalign, handle_realloc, handle_realloc_aligned,
    handle_free,   mm_block_size, handle_validate, handle_stats, NULL,
};

static uint64_t now_ns(const engine *e) {
    struct timespec now;
    if (!e->watch) return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One call of the heap, timed when the engine has a `watch` function. */
#define CALL(call)                                                                                 \
    do {                                                                                           \
        uint64_t before = now_ns(e);                                                               \
        call;                                                                                      \
        uint64_t took = now_ns(e) - before;                                                        \
        if (took > e->worst_ns) e->worst_ns = took;                                                \
    } while (0)

uint64_t engine_seed(uint64_t otherwise) {
    return suite_env("MM_SEED", otherwise);
}

size_t engine_operations(size_t otherwise) {
    return (size_t)suite_env("MM_OPS", otherwise);
}

/* May run in a signal handler: plain writes only. */
static void write_log(const engine *engine) {
    char line[512];
    const char *folder = getenv("MM_LOG_DIR");
    snprintf(line, sizeof line, "%s/%s-seed-%llu.log", folder ? folder : ".", engine->name,
             (unsigned long long)engine->seed);
    int file = open(line, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    fprintf(stderr,
            "%s: seed %llu, operation %zu; run again with MM_SEED=%llu; log of operations in %s\n",
            engine->name, (unsigned long long)engine->seed, engine->number,
            (unsigned long long)engine->seed, file < 0 ? "no file" : line);
    if (file < 0) return;
    size_t count = engine->number < ENGINE_LOG ? engine->number : ENGINE_LOG;
    for (size_t i = engine->number - count; i < engine->number; i++) {
        const engine_record *r = &engine->log[i % ENGINE_LOG];
        const char *what = r->what == 'm'   ? "malloc"
                           : r->what == 'c' ? "calloc"
                           : r->what == 'a' ? "memalign (align, size)"
                           : r->what == 'f' ? "free"
                           : r->what == 'r' ? "realloc"
                           : r->what == 'R' ? "realloc_aligned (align, size)"
                           : r->what == '+' ? "add_pool"
                           : r->what == '-' ? "remove_pool"
                           : r->what == 'x' ? "extend_pool"
                                            : "reset";
        int length = snprintf(line, sizeof line, "%zu %s slot %zu: %zu %zu, %p -> %p\n", r->number,
                              what, r->slot, r->first, r->second, r->before, r->after);
        if (length > 0 && write(file, line, (size_t)length) < 0) break;
    }
    close(file);
}

static void write_logs(void) {
    for (int i = 0; i < ENGINES_MAX; i++)
        if (engines[i]) write_log(engines[i]);
}

engine *engine_new(const char *name, mm_allocator_t *allocator, uint64_t seed, size_t operations,
                   engine_mix mix) {
    engine *made = calloc(1, sizeof *made);
    if (!made) suite_fail(__FILE__, __LINE__, "no memory for the engine");
    made->allocator = allocator;
    made->front = &engine_handle;
    made->validate_every = 64;
    made->compare_every = 512;
    made->name = name;
    made->seed = seed;
    made->operations = operations;
    made->mix = mix;
    made->random = suite_seeded(seed);
    pthread_mutex_lock(&engines_lock);
    for (int i = 0; i < ENGINES_MAX; i++)
        if (!engines[i]) {
            engines[i] = made;
            break;
        }
    pthread_mutex_unlock(&engines_lock);
    return made;
}

void engine_free(engine *engine) {
    pthread_mutex_lock(&engines_lock);
    for (int i = 0; i < ENGINES_MAX; i++)
        if (engines[i] == engine) engines[i] = NULL;
    pthread_mutex_unlock(&engines_lock);
    for (int i = 0; i < ENGINE_POOLS; i++) free(engine->pools[i].memory);
    free(engine);
}

static size_t below(engine *e, size_t bound) {
    return suite_below(&e->random, bound);
}

static size_t request(engine *e) {
    static const size_t few[] = {24, 40, 64, 100, 256, 1000, 4096};
    /* The process-wide heap maps memory for a large request and gives it back afterwards. */
    if (e->front != &engine_handle && below(e, 4096) == 0) return below(e, (size_t)2 << 20) + 1;
    switch (e->mix) {
    case MIX_SMALL: return below(e, 64) + 1;
    case MIX_POWERS: return ((size_t)1 << below(e, 14)) + below(e, 3) - 1 + (below(e, 2) ? 1 : 0);
    case MIX_FEW_SIZES: return few[below(e, sizeof few / sizeof *few)];
    case MIX_HUGE_RARELY: return below(e, 50) ? below(e, 300) + 1 : below(e, 100000) + 1;
    default: return below(e, 4000) + 1;
    }
}

/* Records the call that follows; its result is filled in afterwards. */
static engine_record *note(engine *e, char what, size_t slot, size_t first, size_t second,
                           const void *before) {
    engine_record *record = &e->log[e->number % ENGINE_LOG];
    *record = (engine_record){e->number, slot, first, second, before, NULL, what};
    e->number++;
    return record;
}

/* The bytes that a block takes. A large block of the process-wide allocator is whole pages without
 * a header. */
static size_t bytes_of(size_t usable) {
    return usable % QUANTUM == 0 ? usable : usable + HEADER;
}

static void adopt(engine *e, engine_slot *slot, unsigned char *block, size_t asked, size_t align) {
    slot->block = block;
    slot->asked = asked;
    slot->align = align;
    slot->seed = (unsigned)suite_next(&e->random);
    CHECK_GE(e->front->usable(block), asked);
    CHECK_EQ(misalignment(block, align > QUANTUM ? align : QUANTUM), 0);
    fill(block, asked, slot->seed);
    e->live++;
    e->used += bytes_of(e->front->usable(block));
}

static void forget(engine *e, engine_slot *slot) {
    e->live--;
    e->used -= bytes_of(e->front->usable(slot->block));
    slot->block = NULL;
}

static void intact(const engine_slot *slot) {
    CHECK_FILLED(slot->block, slot->asked, slot->seed);
}

/* The number of zero bytes at the start: all, if the first is zero and each equals the one before
 * it. */
static size_t zeros(const unsigned char *start, size_t bytes) {
    size_t i = 0;
    if (start[0] == 0 && memcmp(start, start + 1, bytes - 1) == 0) return bytes;
    while (start[i] == 0) i++;
    return i;
}

static void allocate(engine *e, engine_slot *slot, size_t index) {
    size_t n = request(e), align = 1, way = below(e, 10);
    unsigned char *block;
    engine_record *record;
    if (n == 0) n = 1;
    if (way < 6) {
        record = note(e, 'm', index, n, 0, NULL);
        CALL(block = e->front->malloc(e, n));
    } else if (way < 8) {
        size_t count = below(e, 8) + 1;
        n = n / count + 1;
        record = note(e, 'c', index, count, n, NULL);
        CALL(block = e->front->calloc(e, count, n));
        n *= count;
        if (block) CHECK_EQ(zeros(block, n), n);
    } else {
        align = (size_t)1 << below(e, 13);
        record = note(e, 'a', index, align, n, NULL);
        if (way == 8 || !e->front->realloc_aligned)
            CALL(block = e->front->memalign(e, align, n));
        else
            CALL(block = e->front->realloc_aligned(e, NULL, align, n));
    }
    record->after = block;
    if (block)
        adopt(e, slot, block, n, align);
    else
        e->failed++;
}

static void resize(engine *e, engine_slot *slot, size_t index) {
    size_t n = request(e);
    int aligned = e->front->realloc_aligned && (slot->align > QUANTUM || below(e, 4) == 0);
    /* Sometimes a new alignment: then even a shrinking block moves. */
    size_t align = aligned && below(e, 4) == 0 ? (size_t)1 << below(e, 13)
                   : aligned                   ? slot->align
                                               : 1;
    if (n == 0) n = 1;
    engine_record *record =
        note(e, aligned ? 'R' : 'r', index, aligned ? align : n, aligned ? n : 0, slot->block);
    size_t old = e->front->usable(slot->block), kept = n < slot->asked ? n : slot->asked;
    unsigned char *block;
    if (aligned)
        CALL(block = e->front->realloc_aligned(e, slot->block, align, n));
    else
        CALL(block = e->front->realloc(e, slot->block, n));
    record->after = block;
    if (!block) {
        e->failed++;
        CHECK_EQ(e->front->usable(slot->block), old);
        intact(slot);
        return;
    }
    CHECK_FILLED(block, kept, slot->seed);
    e->used -= bytes_of(old);
    e->live--;
    adopt(e, slot, block, n, align);
}

static void change_pools(engine *e) {
    size_t index = below(e, ENGINE_POOLS);
    engine_pool *pool = &e->pools[index];
    if (!pool->bytes) {
        pool->bytes = pool->capacity / 2 + below(e, pool->capacity / 4);
        size_t offset = below(e, 2 * QUANTUM);
        engine_record *record = note(e, '+', index, pool->bytes, offset, pool->memory);
        /* The bytes before the offset stay unused; extensions start where this region ends. */
        mm_pool_t *made = mm_add_pool(e->allocator, pool->memory + offset, pool->bytes - offset);
        record->after = made;
        CHECK(made != NULL);
    } else if (below(e, 3)) {
        size_t room = pool->capacity - pool->bytes, more = below(e, room < 3000 ? room + 1 : 3000);
        engine_record *record = note(e, 'x', index, more, 0, pool->memory);
        int extended = mm_extend_pool(
            e->allocator, mm_get_pool_for_ptr(e->allocator, pool->memory + 4 * QUANTUM), more);
        record->after = extended ? pool : NULL;
        if (more >= MIN_USABLE + HEADER + QUANTUM) CHECK_EQ(extended, 1);
        if (extended) pool->bytes += more;
    } else {
        engine_record *record = note(e, '-', index, 0, 0, pool->memory);
        int has_live = 0;
        for (size_t i = 0; i < ENGINE_SLOTS; i++)
            has_live |=
                e->slots[i].block >= pool->memory && e->slots[i].block < pool->memory + pool->bytes;
        int removed = mm_remove_pool(e->allocator,
                                     mm_get_pool_for_ptr(e->allocator, pool->memory + 4 * QUANTUM));
        record->after = removed ? pool : NULL;
        CHECK_EQ(removed, !has_live);
        if (removed) {
            pool->bytes = 0;
            memset(pool->memory, 0xDD, pool->capacity);
        }
    }
}

static void reset(engine *e) {
    note(e, '0', 0, 0, 0, NULL);
    for (size_t i = 0; i < ENGINE_SLOTS; i++)
        if (e->slots[i].block) {
            intact(&e->slots[i]);
            e->slots[i].block = NULL;
        }
    CHECK_EQ(mm_reset(e->allocator), 1);
    e->live = e->used = e->peak = 0;
    e->failed = heap_stats(e->allocator).failed_requests;
}

struct lookup {
    const engine_slot *sorted[ENGINE_SLOTS];
    size_t count, met;
};

static int by_address(const void *left, const void *right) {
    const engine_slot *const *a = left, *const *b = right;
    return ((*a)->block > (*b)->block) - ((*a)->block < (*b)->block);
}

/* Each live block of the walk is in the model, and at least as large as its request. */
static void meet(void *block, size_t size, int used, void *user) {
    struct lookup *lookup = user;
    if (!used) return;
    size_t low = 0, high = lookup->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (lookup->sorted[middle]->block < (unsigned char *)block)
            low = middle + 1;
        else
            high = middle;
    }
    CHECK(low < lookup->count);
    CHECK_PTR(lookup->sorted[low]->block, block);
    CHECK_GE(size, lookup->sorted[low]->asked);
    lookup->met++;
}

static unsigned char *end_of(engine *e, const engine_slot *slot) {
    return slot->block + bytes_of(e->front->usable(slot->block));
}

static void compare_all(engine *e) {
    struct lookup lookup = {{0}, 0, 0};
    if (e->front == &engine_handle)
        HEAP_SOUND(e->allocator);
    else
        CHECK(e->front->validate(e));
    for (size_t i = 0; i < ENGINE_SLOTS; i++)
        if (e->slots[i].block) lookup.sorted[lookup.count++] = &e->slots[i];
    qsort(lookup.sorted, lookup.count, sizeof *lookup.sorted, by_address);
    for (size_t i = 1; i < lookup.count; i++)
        CHECK(end_of(e, lookup.sorted[i - 1]) <= lookup.sorted[i]->block);
    if (e->front == &engine_handle) {
        for (mm_pool_t *pool = mm_get_pool(e->allocator); pool;
             pool = mm_next_pool(e->allocator, pool))
            mm_walk_pool(pool, meet, &lookup);
        CHECK_EQ(lookup.met, lookup.count);
    }
    CHECK_EQ(lookup.count, e->live);
    for (size_t i = 0; i < lookup.count; i++) intact(lookup.sorted[i]);
}

static void compare_counters(engine *e) {
    mm_stats_t stats = e->front->stats(e);
    CHECK_EQ(stats.live_blocks - e->base.live_blocks, e->live);
    size_t used = stats.used - e->base.used;
    size_t beyond = e->front->beyond ? e->front->beyond(&stats) : 0;
    if (heap_is_debug() || beyond)
        CHECK_GE(used, e->used);
    else
        CHECK_EQ(used, e->used);
    if (beyond) CHECK_GE(e->used + beyond, used);
    CHECK_EQ(stats.failed_requests - e->base.failed_requests, e->failed);
    CHECK_EQ(stats.used + stats.free + stats.overhead, stats.pool_bytes);
    /* A moving realloc holds two blocks while it copies. */
    if (e->base.used + e->used > e->peak) e->peak = e->base.used + e->used;
    CHECK_GE(stats.peak, e->peak);
    e->peak = stats.peak;
}

static void add_pools(engine *e) {
    for (size_t i = 0; i < ENGINE_POOLS; i++) {
        engine_pool *pool = &e->pools[i];
        pool->capacity = (size_t)16384 << i;
        pool->memory = malloc(pool->capacity);
        CHECK(pool->memory != NULL);
        memset(pool->memory, 0xFF, pool->capacity);
        if (i == 3 || e->fixed_pools) {
            pool->bytes = e->fixed_pools ? pool->capacity : pool->capacity / 2;
            CHECK(mm_add_pool(e->allocator, pool->memory, pool->bytes) != NULL);
        }
    }
}

static void describe(char *text, size_t bytes, const void *about) {
    const engine *e = about;
    snprintf(text, bytes, "%s, seed %llu, operation %zu", e->name, (unsigned long long)e->seed,
             e->number);
}

void engine_run(engine *e) {
    size_t crowd = ENGINE_SLOTS;
    int has_pools = e->front == &engine_handle;
    suite_on_failure(write_logs);
    suite_describe(describe, e);
    if (has_pools) add_pools(e);
    if (!has_pools) e->base = e->front->stats(e);
    e->peak = e->base.peak;
    for (size_t turn = 0; turn < e->operations; turn++) {
        /* The heap fills and empties in waves, so that both exhaustion and coalescing happen. */
        if (turn % 4096 == 0) {
            crowd = below(e, ENGINE_SLOTS - 16) + 16;
            if (e->watch && e->watch(e)) break;
        }
        size_t index = below(e, crowd), what = below(e, 1000);
        engine_slot *slot = &e->slots[index];
        if (what < 4 && has_pools && !e->fixed_pools) {
            change_pools(e);
        } else if (what == 4 && has_pools && below(e, 40) == 0) {
            reset(e);
        } else if (!slot->block) {
            allocate(e, slot, index);
        } else if (what < 600) {
            note(e, 'f', index, slot->asked, 0, slot->block);
            intact(slot);
            unsigned char *gone = slot->block;
            forget(e, slot);
            if (what % 8)
                CALL(e->front->free(e, gone));
            else
                CHECK_NULL(e->front->realloc(e, gone, 0));
        } else {
            resize(e, slot, index);
        }
        compare_counters(e);
        if (turn % e->validate_every == 0) CHECK(e->front->validate(e));
        if (turn % e->compare_every == 0) compare_all(e);
    }
    compare_all(e);
    for (size_t i = 0; i < ENGINE_SLOTS; i++)
        if (e->slots[i].block) {
            e->front->free(e, e->slots[i].block);
            e->slots[i].block = NULL;
        }
    suite_describe(NULL, NULL);
    CHECK_EQ(e->front->stats(e).used, e->base.used);
    CHECK(e->front->validate(e));
    if (!has_pools) return;
    HEAP_SOUND(e->allocator);
    heap_walk walk = heap_walked(e->allocator, 0);
    CHECK_EQ(walk.live, 0);
    CHECK_EQ(walk.blocks, walk.pools);
}
