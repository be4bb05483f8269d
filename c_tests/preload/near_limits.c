// What the heap keeps for later requests does not make the program's own calls fail near a limit:
// of addresses (RLIMIT_AS, set after the start), for mmap, a thread's stack and an aligned block;
// of the table of mappings, for mmap and mprotect; and of locked memory (RLIMIT_MEMLOCK), which
// mlockall compares with all addresses.
#include "check.h"
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { BYTES = 5 << 20, LIVE = 4, MARGIN = 6 << 20 };

/* Mapped bytes of this process. */
static size_t mapped(void) {
    char text[64] = {0};
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
    fclose(file);
    return strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

/* Blocks of many sizes come and go, so that mappings of their size are worth keeping. */
static void warm(void) {
    for (int round = 0; round < 60; round++) {
        char *blocks[LIVE];
        for (int i = 0; i < LIVE; i++) {
            blocks[i] = malloc((size_t)(BYTES + i * 300000));
            CHECK(blocks[i] != NULL);
            blocks[i][0] = 1;
        }
        for (int i = 0; i < LIVE; i++) free(blocks[i]);
    }
}

static size_t limit_to(size_t more) {
    struct rlimit limit = {mapped() + more, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    return limit.rlim_cur;
}

static void *nothing(void *argument) { return argument; }

static void addresses(void) {
    pthread_t thread;
    /* The thread's own heap, and what the C library maps once. */
    CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    size_t room = 150 << 20;
    limit_to(room);
    room -= MARGIN;
    warm();
    void *pages = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    munmap(pages, room);
    passed("mmap_near_the_limit_of_addresses");
    warm();
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, room & ~(size_t)65535) == 0);
    CHECK(pthread_create(&thread, &attributes, nothing, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    passed("a_large_stack_near_the_limit_of_addresses");
    /* (The C library keeps that stack's mapping until here.) */
    CHECK(pthread_attr_setstacksize(&attributes, 65536) == 0);
    limit_to(room + MARGIN);
    warm();
    void *aligned = NULL;
    CHECK(posix_memalign(&aligned, 2 << 20, room - (4 << 20)) == 0);
    free(aligned);
    passed("an_aligned_block_near_the_limit_of_addresses");
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &none) == 0);
}

/* Pages, each a mapping of its own. Returns how many. */
static int fill_table(char *pages, int count) {
    int made = 0;
    while (made < count && mprotect(pages + (size_t)made * 8192, 4096, PROT_READ) == 0) made++;
    CHECK(made < count);
    return made;
}

static void table(void) {
    size_t bytes = (size_t)100000 * 8192;
    char *pages = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(pages != MAP_FAILED);
    int before = fill_table(pages, 100000);
    CHECK(mprotect(pages, bytes, PROT_NONE) == 0);
    /* Kept, each between two live ones. */
    enum { MANY = 48 };
    static void *kept[MANY], *live[MANY];
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < MANY; i++) {
            kept[i] = malloc(600000);
            if (round == 0) live[i] = malloc(600000);
            CHECK(kept[i] != NULL && live[i] != NULL);
        }
        for (int i = 0; i < MANY; i++) free(kept[i]);
    }
    for (int i = 0; i < MANY; i++) free(live[i]);
    int after = fill_table(pages, 100000);
    if (after < before - 10) printf("%d entries before, %d after\n", before, after);
    CHECK(after >= before - 10);
    munmap(pages, bytes);
    passed("mprotect_near_the_limit_of_mappings");
}

/* In a child without root's privilege to exceed the limit. */
static void locked(void) {
    const char *name = "mlockall_near_the_limit_of_locked_memory";
    enum { DONE, REFUSED, NOT_KEPT, FORBIDDEN };
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    limit.rlim_cur = mapped() + MARGIN;
    if (limit.rlim_cur > limit.rlim_max) limit.rlim_cur = limit.rlim_max;
    bool permits = limit.rlim_cur > mapped() + (MARGIN >> 3);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (!permits || setrlimit(RLIMIT_MEMLOCK, &limit) != 0) _exit(FORBIDDEN);
        if (geteuid() == 0 && setuid(65534) != 0) _exit(FORBIDDEN);
        warm();
        if (mapped() <= limit.rlim_cur) _exit(NOT_KEPT);
        _exit(mlockall(MCL_CURRENT) == 0 ? DONE : REFUSED);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    if (WEXITSTATUS(status) == FORBIDDEN) {
        skipped(name, "this user may not lock as much");
        return;
    }
    CHECK(WEXITSTATUS(status) == DONE);
    passed(name);
}

int main(void) {
    alarm(100);
    locked();
    addresses();
    table();
    return 0;
}
