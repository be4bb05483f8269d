/* The C library's malloc family through the shim's archive, with any arguments, checked against the
 * rules of C, POSIX and glibc. scripts/fuzz.sh gives the archive's names the prefix `shim_`, so
 * that the fuzzer keeps its own malloc. The heap lives on from input to input, as in a program. */
#include "harness.h"

#define SLOTS 40
/* Requests up to SERVED must be served; requests from REFUSED on must be refused; none lies
 * between. */
#define SERVED ((size_t)2 << 20)
#define REFUSED ((size_t)1 << 47)

void *shim_malloc(size_t bytes);
void *shim_calloc(size_t count, size_t size);
void *shim_realloc(void *ptr, size_t bytes);
void *shim_reallocarray(void *ptr, size_t count, size_t size);
int shim_posix_memalign(void **out, size_t align, size_t bytes);
void *shim_aligned_alloc(size_t align, size_t bytes);
void *shim_memalign(size_t align, size_t bytes);
void *shim_valloc(size_t bytes);
void *shim_pvalloc(size_t bytes);
void shim_free(void *ptr);
void shim_cfree(void *ptr);
void shim_free_sized(void *ptr, size_t bytes);
void shim_free_aligned_sized(void *ptr, size_t align, size_t bytes);
size_t shim_malloc_usable_size(const void *ptr);
int shim_malloc_trim(size_t pad);
int memoman_fuzz_validate(void);

typedef struct slot {
    unsigned char *block;
    size_t usable;
    unsigned seed;
} slot;

static slot slots[SLOTS];
static unsigned seeds;

#ifdef PLANTED
/* The product wraps. */
static void *planted_reallocarray(void *ptr, size_t count, size_t size) {
    return shim_realloc(ptr, count * size);
}
#define shim_reallocarray planted_reallocarray
#endif

/* Large blocks have the pattern at both ends only. */
#define ENDS 4096

static void paint(slot *slot) {
    size_t ends = slot->usable < ENDS ? slot->usable : ENDS;
    fill(slot->block, ends, slot->seed);
    fill(slot->block + slot->usable - ends, ends, slot->seed);
    if (slot->usable < 2 * ENDS) fill(slot->block, slot->usable, slot->seed);
}

static void intact(const slot *slot) {
    if (slot->usable < 2 * ENDS) {
        CHECK_FILLED(slot->block, slot->usable, slot->seed);
    } else {
        CHECK_FILLED(slot->block, ENDS, slot->seed);
        CHECK_FILLED(slot->block + slot->usable - ENDS, ENDS, slot->seed);
    }
}

static void adopt(slot *slot, unsigned char *block, size_t asked, size_t align) {
    size_t usable = shim_malloc_usable_size(block);
    CHECK_GE(usable, asked);
    CHECK_EQ(misalignment(block, align > 16 ? align : 16), 0);
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot *other = &slots[i];
        if (other->block && other != slot)
            CHECK(block + usable <= other->block || other->block + other->usable <= block);
    }
    *slot = (struct slot){block, usable, ++seeds};
    paint(slot);
}

/* A size up to SERVED, or from REFUSED on. */
static size_t bounded(size_t n) {
    return n >= REFUSED ? n : n % (SERVED + 1);
}

/* The refusal has the expected errno. */
static void refused(int error, int expected) {
    CHECK_EQ(error, expected);
}

static int is_power(size_t n) {
    return n && !(n & (n - 1));
}

static size_t next_power(size_t n) {
    size_t power = 1;
    while (power < n && power) power <<= 1;
    return power;
}

static void allocate(input *in, slot *slot, unsigned how) {
    static const char nothing[1];
    unsigned char *block = NULL;
    size_t n = bounded(take_size(in)), align = 16;
    int error = 0;
    errno = 77;
    switch (how) {
    case 0: block = shim_malloc(n); break;
    case 1: block = shim_realloc(NULL, n); break;
    case 2:
    case 3: {
        size_t count = take_size(in);
        int overflows = n && count > SIZE_MAX / n;
        if (!overflows && n * count < REFUSED && n * count > SERVED) count %= SERVED / n + 1;
        errno = 77;
        block = how == 2 ? shim_calloc(count, n) : shim_reallocarray(NULL, count, n);
        if (overflows) CHECK_NULL(block);
        n = overflows ? SIZE_MAX : n * count;
        for (size_t i = 0; how == 2 && block && i < n; i++)
            if (block[i]) CHECK_EQ(block[i], 0);
        break;
    }
    case 4: {
        void *out = (void *)(uintptr_t)nothing;
        align = take_size(in);
        int wrong = !is_power(align) || align % sizeof(void *);
        errno = 77;
        error = shim_posix_memalign(&out, align, n);
        CHECK_EQ(errno, error == ENOMEM ? ENOMEM : 77);
        if (wrong) CHECK_EQ(error, EINVAL);
        if (error) CHECK_PTR(out, nothing);
        if (error) errno = error;
        block = error ? NULL : out;
        if (wrong) return;
        break;
    }
    case 5:
        align = take_size(in);
        errno = 77;
        block = shim_aligned_alloc(align, n);
        if (!is_power(align)) {
            CHECK_NULL(block);
            refused(errno, EINVAL);
            return;
        }
        break;
    case 6:
        align = take_size(in);
        errno = 77;
        block = shim_memalign(align, n);
        align = next_power(align);
        if (!align) {
            CHECK_NULL(block);
            refused(errno, EINVAL);
            return;
        }
        break;
    default:
        align = 4096;
        block = how == 7 ? shim_valloc(n) : shim_pvalloc(n);
        if (how == 8 && n <= SERVED) n = round_up(n + (n == 0), 4096);
        break;
    }
    if (block) {
        if (!error) CHECK_EQ(errno, 77);
        CHECK_LE(n, SERVED);
        CHECK(align < REFUSED);
        adopt(slot, block, n, align);
    } else {
        CHECK(n >= REFUSED || align > SERVED);
        refused(errno, ENOMEM);
    }
}

static void resize(input *in, slot *slot, int array) {
    size_t n = bounded(take_size(in)), count = array ? take_size(in) : 1;
    int overflows = n && count > SIZE_MAX / n;
    if (!overflows && n * count < REFUSED && n * count > SERVED) count %= SERVED / n + 1;
    intact(slot);
    struct slot old = *slot;
    errno = 77;
    unsigned char *block =
        array ? shim_reallocarray(old.block, count, n) : shim_realloc(old.block, n);
    int error = errno;
    n = overflows ? SIZE_MAX : n * count;
    if (n == 0) {
        CHECK_NULL(block);
        slot->block = NULL;
        CHECK_EQ(error, 77);
    } else if (block) {
        CHECK_LE(n, SERVED);
        CHECK_EQ(error, 77);
        size_t kept = n < old.usable ? n : old.usable;
        if (kept > ENDS && old.usable >= 2 * ENDS) kept = ENDS;
        CHECK_FILLED(block, kept, old.seed);
        adopt(slot, block, n, 1);
    } else {
        CHECK(n >= REFUSED);
        refused(error, ENOMEM);
        CHECK_EQ(shim_malloc_usable_size(old.block), old.usable);
        intact(slot);
    }
}

static void release(slot *slot, unsigned how) {
    unsigned char *block = slot->block;
    if (block) intact(slot);
    slot->block = NULL;
    errno = 77;
    switch (how % 4) {
    case 0: shim_free(block); break;
    case 1: shim_cfree(block); break;
    case 2: shim_free_sized(block, how); break;
    default: shim_free_aligned_sized(block, how, how); break;
    }
    CHECK_EQ(errno, 77);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    for (size_t number = 1; in.left; number++) {
        unsigned what = take(&in) % 32;
        slot *slot = &slots[take(&in) % SLOTS];
        if (what == 31)
            release(slot, take(&in));
        else if (what == 30)
            shim_malloc_trim(take(&in));
        else if (what == 29)
            CHECK_EQ(shim_malloc_usable_size(slot->block), slot->block ? slot->usable : 0);
        else if (!slot->block)
            allocate(&in, slot, what % 9);
        else if (what < 14)
            release(slot, what);
        else
            resize(&in, slot, what % 2);
        if (number % 32 == 0) CHECK(memoman_fuzz_validate());
    }
    CHECK(memoman_fuzz_validate());
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i].block) release(&slots[i], 0);
    return 0;
}
