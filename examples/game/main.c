/*
 * A game's frame: two heaps over two kinds of memory. The fast one (such as tightly coupled or
 * console RAM) holds the blocks of one frame and is emptied with mm_reset; the slow one holds the
 * blocks of a level. Blocks that do not fit into fast memory go to slow memory, and give_back()
 * finds a block's heap by its address.
 */
#include "../support/example.h"
#include <memoman.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { FRAMES = 600, ENTITIES = 400 };

static unsigned char fast_memory[96 * 1024], slow_memory[4 * 1024 * 1024];
static mm_allocator_t *fast, *slow;
static unsigned long spilled;

static uint32_t random_state = 20261124;
static uint32_t below(uint32_t bound) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % bound;
}

static bool is_in(const void *ptr, const unsigned char *memory, size_t bytes) {
    return (const unsigned char *)ptr >= memory && (const unsigned char *)ptr < memory + bytes;
}

/* From fast memory if it has room, else from slow memory. */
static void *prefer_fast(size_t bytes) {
    void *ptr = mm_malloc(fast, bytes);
    if (ptr != NULL) return ptr;
    spilled++;
    return mm_malloc(slow, bytes);
}

/* Frees a block of either heap. */
static void give_back(void *ptr) {
    mm_free(is_in(ptr, fast_memory, sizeof fast_memory) ? fast : slow, ptr);
}

struct entity {
    size_t bytes;
    unsigned char tag;
    unsigned char *state;
};

static struct entity entities[ENTITIES];

static void spawn(struct entity *entity, unsigned char tag) {
    entity->bytes = 64 + below(4000);
    entity->tag = tag;
    entity->state = mm_memalign(slow, 64, entity->bytes);
    REQUIRE(entity->state != NULL && (uintptr_t)entity->state % 64 == 0);
    memset(entity->state, tag, entity->bytes);
}

static void check(const struct entity *entity) {
    for (size_t i = 0; i < entity->bytes; i += 61) REQUIRE(entity->state[i] == entity->tag);
}

int main(void) {
    printf("%d frames; fast memory %zu bytes, slow memory %zu bytes\n", FRAMES, sizeof fast_memory,
           sizeof slow_memory);
    fast = mm_create_with_pool(fast_memory, sizeof fast_memory);
    slow = mm_create_with_pool(slow_memory, sizeof slow_memory);
    REQUIRE(fast != NULL && slow != NULL);
    mm_stats_t fresh_fast, fresh_slow, stats;
    mm_stats(fast, &fresh_fast, sizeof fresh_fast);
    mm_stats(slow, &fresh_slow, sizeof fresh_slow);
    for (int i = 0; i < ENTITIES; i++) spawn(&entities[i], (unsigned char)i);

    unsigned long scratch = 0, in_fast = 0;
    size_t highest = 0;
    for (int frame = 0; frame < FRAMES; frame++) {
        /* Some entities are replaced by others: the level's heap fragments. */
        for (int i = 0; i < 10; i++) {
            struct entity *entity = &entities[below(ENTITIES)];
            check(entity);
            mm_free(slow, entity->state);
            spawn(entity, (unsigned char)(frame + i));
        }
        /* The frame's blocks: command lists, contacts, particles. Every 50th frame needs too
         * much. */
        void *spilled_now[400];
        int spills = 0, wanted = frame % 50 == 49 ? 400 : 60;
        for (int i = 0; i < wanted; i++) {
            size_t bytes = 16 + below(1000);
            void *ptr = prefer_fast(bytes);
            REQUIRE(ptr != NULL);
            memset(ptr, 0xEE, bytes);
            scratch++;
            if (is_in(ptr, fast_memory, sizeof fast_memory)) in_fast++;
            else spilled_now[spills++] = ptr;
            /* Some are freed within the frame. */
            if (i % 7 == 0 && is_in(ptr, fast_memory, sizeof fast_memory)) give_back(ptr);
        }
        mm_stats(fast, &stats, sizeof stats);
        if (stats.peak > highest) highest = stats.peak;
        for (int i = 0; i < spills; i++) give_back(spilled_now[i]);
        /* The end of the frame frees all of fast memory in one call. */
        REQUIRE(mm_reset(fast));
        mm_stats(fast, &stats, sizeof stats);
        REQUIRE(stats.live_blocks == 0 && stats.largest == fresh_fast.largest);
    }

    REQUIRE(in_fast + spilled == scratch && in_fast > 0 && spilled > 0);
    proved("%lu blocks of a frame in fast memory, %lu spilled to slow memory in the crowded frames",
           in_fast, spilled);
    printf("          at most %zu of %zu fast bytes in use; each frame ends with one mm_reset\n",
           highest, fresh_fast.pool_bytes);
    for (int i = 0; i < ENTITIES; i++) check(&entities[i]);
    mm_stats(slow, &stats, sizeof stats);
    REQUIRE(stats.live_blocks == ENTITIES && stats.failed_requests == 0 && mm_validate(slow) &&
            mm_validate(fast));
    proved("%d entities unharmed after %d replacements, each aligned to 64 bytes", ENTITIES,
           FRAMES * 10);
    for (int i = 0; i < ENTITIES; i++) mm_free(slow, entities[i].state);
    mm_stats(slow, &stats, sizeof stats);
    REQUIRE(stats.used == 0 && stats.largest == fresh_slow.largest);
    proved("the level is unloaded, and slow memory is one free block again");
    return 0;
}
