// What the shim adds to a process with one thread that hardly allocates: no fork handlers, whose
// registration brings pages of the C library into memory, and few pages of its own.
#include "check.h"
#include <dlfcn.h>

enum { TIMES = 5, MOST_KIB = 72, MOST_KIB_OF_LIBRARY = 64 };

static int registered;

typedef int registration(void (*)(void), void (*)(void), void (*)(void), void *);
registration __register_atfork;

/* The shim's calls bind to this definition before the C library's. */
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *of) {
    registration *next;
    void *found = dlsym(RTLD_NEXT, "__register_atfork");
    memcpy(&next, &found, sizeof next);
    registered++;
    return next(prepare, parent, child, of);
}

/* KiB of this process's own pages: those that it shares with others depend on the machine. */
static long own_pages(void) {
    char line[200];
    long kib = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    CHECK(file != NULL);
    while (kib < 0 && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "Private_Dirty: %ld kB", &kib);
    fclose(file);
    return kib;
}

/* KiB of this process's pages that are mapped from the shim's file. */
static long library_pages(void) {
    char line[600];
    long kib = 0, all = 0;
    int inside = 0;
    FILE *file = fopen("/proc/self/smaps", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strchr(line, '-') != NULL && strstr(line, " kB") == NULL)
            inside = strstr(line, "libmemoman_preload") != NULL;
        if (inside && sscanf(line, "Rss: %ld kB", &kib) == 1) all += kib;
    }
    fclose(file);
    return all;
}

static long started(const char *program, int with_shim, const char *what) {
    char command[600], line[64] = "";
    snprintf(command, sizeof command, "%s '%s' %s", with_shim ? "" : "LD_PRELOAD= ", program, what);
    FILE *output = popen(command, "r");
    CHECK(output != NULL && fgets(line, sizeof line, output) != NULL);
    CHECK(pclose(output) == 0);
    return strtol(line, NULL, 10);
}

static void *nothing(void *unused) { return unused; }

int main(int count, char **arguments) {
    if (count > 1) {
        printf("%ld\n", count > 2 ? library_pages() : own_pages());
        return 0;
    }
    free(opaque(malloc(100)));
    CHECK(registered == 0);
    on_other_thread(nothing, NULL);
    CHECK(registered == 1);
    on_other_thread(nothing, NULL);
    CHECK(registered == 1);
    passed("fork_handlers_come_with_the_first_thread");
    long without = 1 << 30, with = 1 << 30;
    for (int i = 0; i < TIMES; i++) {
        long one = started(arguments[0], 0, "own"), other = started(arguments[0], 1, "own");
        if (one < without) without = one;
        if (other < with) with = other;
    }
    if (with > without + MOST_KIB) printf("%ld KiB, without the shim %ld\n", with, without);
    CHECK(with <= without + MOST_KIB);
    passed("a_small_process_has_few_pages");
#ifdef __x86_64__
    long library = started(arguments[0], 1, "of library");
    if (library > MOST_KIB_OF_LIBRARY) printf("%ld KiB of the library\n", library);
    CHECK(library > 0 && library <= MOST_KIB_OF_LIBRARY);
    passed("little_of_the_library_is_in_memory");
#endif
    return 0;
}
