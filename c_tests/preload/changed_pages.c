// A program changes pages of large blocks and frees the blocks as they are: protected, locked,
// excluded from forks or dumps. No later block inherits that. Mappings of other blocks are kept and
// used again meanwhile.
#include "check.h"
#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { BYTES = 1 << 20, PAGE = 4096, LATER = 12 };

/* No mapping of these bytes is excluded from forks (dc) or dumps (dd), locked (lo), wiped (wf). */
static int are_plain(const char *block, size_t bytes) {
    char line[512];
    int here = 0, plain = 1;
    FILE *file = fopen("/proc/self/smaps", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = start < (uintptr_t)block + bytes && (uintptr_t)block < end;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            plain &= strstr(line, " dc") == NULL && strstr(line, " dd") == NULL &&
                     strstr(line, " lo") == NULL && strstr(line, " wf") == NULL;
    }
    fclose(file);
    return plain;
}

static char *page_at(char *block, size_t offset) {
    return block + offset + (PAGE - (uintptr_t)(block + offset) % PAGE) % PAGE;
}

/* Has mappings of this size kept. */
static void warm(void) {
    for (int i = 0; i < 200; i++) {
        char *one = malloc(BYTES), *other = malloc(BYTES);
        CHECK(one != NULL && other != NULL);
        one[0] = other[0] = 1;
        free(one), free(other);
    }
}

/* Blocks made from here on inherit nothing. */
static void later_blocks_are_plain(void) {
    char *later[LATER];
    for (int k = 0; k < LATER; k++) {
        later[k] = malloc(k % 2 ? BYTES : BYTES / 2);
        CHECK(later[k] != NULL);
        memset(later[k], k, BYTES / 2);
        CHECK(are_plain(later[k], BYTES / 2));
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (int k = 0; k < LATER; k++)
            if (later[k][BYTES / 2 - 1] != k || later[k][0] != k) _exit(1);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    for (int k = 0; k < LATER; k++) free(later[k]);
}

static void with_page(char *block, int (*change)(void *, size_t)) {
    /* All of it, the first page, one in the middle, the last whole ones. */
    static const struct {
        size_t from, bytes;
    } parts[] = {{0, BYTES}, {0, PAGE}, {BYTES / 2, PAGE}, {BYTES - 4 * PAGE, 4 * PAGE}};
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        warm();
        if (block == NULL) block = malloc(BYTES);
        CHECK(block != NULL);
        char *start = page_at(block, 0);
        size_t bytes = parts[i].bytes == BYTES ? BYTES - PAGE : parts[i].bytes;
        CHECK(change(start + parts[i].from, bytes) == 0);
        free(block);
        block = NULL;
        later_blocks_are_plain();
    }
}

static int read_only(void *at, size_t bytes) { return mprotect(at, bytes, PROT_READ); }
static int no_access(void *at, size_t bytes) { return mprotect(at, bytes, PROT_NONE); }
static int no_fork(void *at, size_t bytes) { return madvise(at, bytes, MADV_DONTFORK); }
static int no_dump(void *at, size_t bytes) { return madvise(at, bytes, MADV_DONTDUMP); }
static int wiped(void *at, size_t bytes) { return madvise(at, bytes, MADV_WIPEONFORK); }
static int locked(void *at, size_t bytes) { return mlock(at, bytes); }
static int replaced(void *at, size_t bytes) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    return mmap(at, bytes, PROT_READ, flags, -1, 0) == at ? 0 : -1;
}

/* Linux 6.13 has guards: each access faults. */
static int guarded(void *at, size_t bytes) { return madvise(at, bytes, 102); }
static int has_guards(void) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
    CHECK(page != MAP_FAILED);
    int has = guarded(page, PAGE) == 0;
    munmap(page, PAGE);
    return has;
}

/* realloc cuts changed pages off, which may be all of what it cuts off. */
static void cut_off(size_t bytes, size_t to, size_t from, size_t changed) {
    void *other = malloc(150 << 20);
    CHECK(other != NULL);
    for (int i = 0; i < 12; i++) {
        char *blocks[4];
        for (int k = 0; k < 4; k++) {
            CHECK((blocks[k] = malloc(30 << 20)) != NULL);
            *(volatile char *)blocks[k] = 1;
        }
        for (int k = 0; k < 4; k++) free(blocks[k]);
    }
    malloc_trim(0);
    char *block = malloc(bytes);
    CHECK(block != NULL);
    memset(block, 1, bytes);
    CHECK(no_access(page_at(block, from), changed) == 0);
    block = realloc(block, to);
    CHECK(block != NULL);
    char *one = malloc(bytes - to - (bytes - to) / 5);
    CHECK(one != NULL);
    memset(one, 1, bytes - to - (bytes - to) / 5);
    later_blocks_are_plain();
    free(one), free(block), free(other);
}

/* The changed page is the last one of a block, and another block begins beside it. */
static void beside(void) {
    enum { BLOCKS = 12, BLOCK = 73 * PAGE };
    char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = memalign(PAGE, BLOCK);
        CHECK(blocks[i] != NULL);
    }
    warm();
    malloc_trim(0);
    for (int i = 0; i < BLOCKS; i++) CHECK(no_access(blocks[i] + BLOCK - PAGE, PAGE) == 0);
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    for (int i = 0; i < 40; i++) {
        char *block = malloc(BLOCK);
        CHECK(block != NULL);
        memset(block, 2, BLOCK);
    }
}

static void resized(void) {
    warm();
    char *block = malloc(BYTES);
    CHECK(block != NULL);
    memset(block, 7, BYTES);
    CHECK(no_dump(page_at(block, 0), BYTES - PAGE) == 0);
    block = realloc(block, 3 * BYTES);
    CHECK(block != NULL && block[BYTES - 1] == 7);
    block = realloc(block, BYTES + 5);
    CHECK(block != NULL && block[BYTES - 1] == 7);
    with_page(block, no_dump);
}

int main(void) {
    alarm(100);
    with_page(NULL, read_only);
    passed("protected_from_writing");
    with_page(NULL, no_access);
    passed("protected_from_access");
    with_page(NULL, no_fork);
    passed("excluded_from_forks");
    with_page(NULL, wiped);
    passed("wiped_in_children");
    with_page(NULL, no_dump);
    passed("excluded_from_dumps");
    with_page(NULL, locked);
    passed("locked_in_memory");
    with_page(NULL, replaced);
    passed("replaced");
    if (has_guards()) with_page(NULL, guarded);
    passed("guarded");
    resized();
    passed("resized_after_a_change");
    cut_off(4 << 20, 2 << 20, 2 << 20, (2 << 20) - PAGE);
    cut_off(100 << 20, 75 << 20, 85 << 20, 1 << 20);
    passed("cut_off_by_realloc");
    beside();
    passed("beside_another_block");
    return 0;
}
