/* Every declaration of tlsf.h 3.1, checked against the type that programs use: a wrong one does not
 * compile. */
#include "tlsf.h"

static tlsf_t (*const create)(void *) = tlsf_create;
static tlsf_t (*const create_with_pool)(void *, size_t) = tlsf_create_with_pool;
static void (*const destroy)(tlsf_t) = tlsf_destroy;
static pool_t (*const get_pool)(tlsf_t) = tlsf_get_pool;
static pool_t (*const add_pool)(tlsf_t, void *, size_t) = tlsf_add_pool;
static void (*const remove_pool)(tlsf_t, pool_t) = tlsf_remove_pool;
static void *(*const allocate)(tlsf_t, size_t) = tlsf_malloc;
static void *(*const allocate_aligned)(tlsf_t, size_t, size_t) = tlsf_memalign;
static void *(*const resize)(tlsf_t, void *, size_t) = tlsf_realloc;
static void (*const release)(tlsf_t, void *) = tlsf_free;
static size_t (*const block_size)(void *) = tlsf_block_size;
static size_t (*const constants[])(void) = {
    tlsf_size,           tlsf_align_size,    tlsf_block_size_min,
    tlsf_block_size_max, tlsf_pool_overhead, tlsf_alloc_overhead,
};
static void (*const walk_pool)(pool_t, tlsf_walker, void *) = tlsf_walk_pool;
static int (*const check)(tlsf_t) = tlsf_check;
static int (*const check_pool)(pool_t) = tlsf_check_pool;
