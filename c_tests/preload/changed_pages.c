// A program changes pages of large blocks and frees the blocks as they are: protected, locked,
// excluded from forks or dumps. No later block inherits that. Mappings of other blocks are kept and
// used again meanwhile.
#include "check.h"
#include <sys/mman.h>
#include <sys/wait.h>

enum { BYTES = 1 << 20, PAGE = 4096, LATER = 12 };

/* The kernel's flags of the mapping at this address have `flag`. */
static int has_flag(const void *at, const char *flag) {
    char line[512];
    int here = 0, found = 0;
    FILE *file = fopen("/proc/self/smaps", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = start <= (uintptr_t)at && (uintptr_t)at < end;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            found |= strstr(line + 8, flag) != NULL;
    }
    fclose(file);
    return found;
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

static void with_page(char *block, int (*change)(void *, size_t)) {
    /* All of it, the first page, one in the middle, the last whole ones. */
    static const struct {
        size_t from, bytes;
    } parts[] = {{0, BYTES}, {0, PAGE}, {BYTES / 2, PAGE}, {BYTES - 4 * PAGE, 4 * PAGE}};
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        warm();
        if (block == NULL) block = malloc(BYTES);
        CHECK(block != NULL);
        char *start = block + ((PAGE - (uintptr_t)block % PAGE) % PAGE);
        size_t bytes = parts[i].bytes == BYTES ? BYTES - PAGE : parts[i].bytes;
        CHECK(change(start + parts[i].from, bytes) == 0);
        free(block);
        block = NULL;
        char *later[LATER];
        for (int k = 0; k < LATER; k++) {
            later[k] = malloc(k % 2 ? BYTES : BYTES / 2);
            CHECK(later[k] != NULL);
            memset(later[k], k, BYTES / 2);
            for (size_t at = 0; at < BYTES / 2; at += BYTES / 16) {
                CHECK(!has_flag(later[k] + at, " dc") && !has_flag(later[k] + at, " dd"));
                CHECK(!has_flag(later[k] + at, " lo") && !has_flag(later[k] + at, " wf"));
            }
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
}

static int read_only(void *at, size_t bytes) { return mprotect(at, bytes, PROT_READ); }
static int no_access(void *at, size_t bytes) { return mprotect(at, bytes, PROT_NONE); }
static int no_fork(void *at, size_t bytes) { return madvise(at, bytes, MADV_DONTFORK); }
static int no_dump(void *at, size_t bytes) { return madvise(at, bytes, MADV_DONTDUMP); }
static int wiped(void *at, size_t bytes) { return madvise(at, bytes, MADV_WIPEONFORK); }
static int locked(void *at, size_t bytes) { return mlock(at, bytes); }

static void resized(void) {
    warm();
    char *block = malloc(BYTES);
    CHECK(block != NULL);
    memset(block, 7, BYTES);
    CHECK(no_dump(block + ((PAGE - (uintptr_t)block % PAGE) % PAGE), BYTES - PAGE) == 0);
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
    resized();
    passed("resized_after_a_change");
    return 0;
}
