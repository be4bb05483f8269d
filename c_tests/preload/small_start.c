// What the shim adds to a process with one thread that hardly allocates: no fork handlers, whose
// registration brings pages of the C library into memory, and few pages of its own.
#include "check.h"
#include <dlfcn.h>

enum { TIMES = 5, MOST_KIB = 96 };

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

static long started(const char *program, int with_shim) {
    char command[600], line[64] = "";
    snprintf(command, sizeof command, "%s '%s' measure", with_shim ? "" : "LD_PRELOAD= ", program);
    FILE *output = popen(command, "r");
    CHECK(output != NULL && fgets(line, sizeof line, output) != NULL);
    CHECK(pclose(output) == 0);
    return strtol(line, NULL, 10);
}

static void *nothing(void *unused) { return unused; }

int main(int count, char **arguments) {
    if (count > 1) {
        printf("%ld\n", own_pages());
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
        long one = started(arguments[0], 0), other = started(arguments[0], 1);
        if (one < without) without = one;
        if (other < with) with = other;
    }
    if (with > without + MOST_KIB) printf("%ld KiB, without the shim %ld\n", with, without);
    CHECK(with <= without + MOST_KIB);
    passed("a_small_process_has_few_pages");
    return 0;
}
