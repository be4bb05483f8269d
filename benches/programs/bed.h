/* A bed: an allocator with a work pool in which a state is built, proved and measured. */
#ifndef MEMOMAN_BED_H
#define MEMOMAN_BED_H

#include <memoman.h>
#include <stddef.h>
#include <stdint.h>

struct bed {
    mm_allocator_t *a;
    mm_pool_t *pool; /* the work pool */
    size_t base;     /* number of blocks at its start that belong to the surroundings */
    const char *surroundings; /* appended to a measurement's name, or NULL */
};

/* A new allocator whose work pool is one free block of about 1 GiB. */
struct bed bed_fresh(void);

/* The memory of bed_fresh's pool; free for other uses between two beds. */
#define BED_POOL_BYTES ((size_t)1 << 30)
unsigned char *bed_memory(void);
/* Memory for a control structure of a default instance. */
void *bed_control(void);

/* Names the state; called before the state is built. Failures and measurements carry the name. */
void state(const char *name);

/* Ends the program with a message when the condition is false: the state is not the named one. */
#define REQUIRE(condition) \
    ((condition) ? (void)0 : require_failed(__FILE__, __LINE__, #condition))
_Noreturn void require_failed(const char *file, int line, const char *condition);

/* The work pool's blocks after the base, in address order: 'u' in use, 'f' free. */
#define EXPECT(bed, layout) expect(bed, layout, __FILE__, __LINE__)
void expect(const struct bed *bed, const char *layout, const char *file, int line);

/* Number of blocks of a pool; *free_blocks, unless NULL, receives that of its free blocks. */
size_t count_blocks(mm_pool_t *pool, size_t *free_blocks);

/* Allocates; ends the program instead of returning NULL. */
void *take(const struct bed *bed, size_t bytes);
mm_stats_t figures(const struct bed *bed);

/*
 * One call, counted by callgrind from its first instruction to its return. All arguments of the
 * library are integers or pointers in registers, so that one frame serves every call. `empty` is
 * called through the same frame; the reader of the dump subtracts its count, less its own one
 * instruction.
 */
typedef uintptr_t (*function)(uintptr_t, uintptr_t, uintptr_t, uintptr_t);
uintptr_t empty(uintptr_t, uintptr_t, uintptr_t, uintptr_t);
uintptr_t measure(const struct bed *bed, function f, uintptr_t a, uintptr_t b, uintptr_t c,
                  uintptr_t d);
#define MEASURE(bed, f, a, b, c, d)                                                           \
    measure(bed, (function)(void (*)(void))(f), (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), \
            (uintptr_t)(d))
#define MEASURE_POINTER(bed, f, a, b, c, d) ((void *)MEASURE(bed, f, a, b, c, d))
/* Counts `empty`; the first measurement of every program. */
void measure_frame(void);

struct state_of_call {
    const char *name;
    void (*run)(struct bed *bed); /* leaves the bed as it found it */
    int alone; /* needs a heap without other free blocks: constant.c leaves it out */
};
extern const struct state_of_call states_of_malloc[];
extern const struct state_of_call states_of_free[];
extern const struct state_of_call states_of_realloc[];
extern const struct state_of_call states_of_others[];
extern const struct state_of_call states_of_cache[];

#endif
