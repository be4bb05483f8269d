// Allocation before constructors, in a dlopen'ed library's constructor and destructor, in atexit
// handlers.
#include "check.h"
#include <dlfcn.h>

static char *early;

static void before_constructors(int argc, char **argv, char **environment) {
    (void)argc, (void)argv, (void)environment;
    early = malloc(1000);
    if (early) memset(early, 0x42, 1000);
}
typedef void initialiser(int, char **, char **);
__attribute__((section(".preinit_array"), used)) static initialiser *preinit = before_constructors;

static char *constructed;
__attribute__((constructor)) static void constructor(void) {
    constructed = realloc(calloc(10, 10), 5000);
}

static void late(void) {
    char *p = malloc(100000);
    if (p == NULL) _exit(1);
    memset(p, 1, 100000);
    free(p);
    free(early);
    free(constructed);
    passed("in_atexit_handlers");
}

int main(void) {
    CHECK(early && early[0] == 0x42 && early[999] == 0x42);
    passed("before_constructors");
    CHECK(constructed);
    passed("in_constructors");
    CHECK(atexit(late) == 0);

    char folder[] = "/tmp/memoman-plugin-XXXXXX", path[64], command[512];
    CHECK(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/plugin.so", folder);
    snprintf(
        command, sizeof command,
        "printf '%%s' '#include <stdlib.h>\n__thread char big[65536]; char *held;\n"
        "__attribute__((constructor)) void in(void)\n"
        "{ held = malloc(5000); held[4999] = 1; big[3] = 1; }\n"
        "__attribute__((destructor)) void out(void) { free(held); free(malloc(100)); }\n"
        "char *get(void) { return held; }' | env -u LD_PRELOAD gcc -shared -fPIC -x c - -o %s",
        path);
    CHECK(system(command) == 0);
    for (int round = 0; round < 20; round++) {
        void *plugin = dlopen(path, RTLD_NOW);
        CHECK(plugin);
        char *(*get)(void) = (char *(*)(void))dlsym(plugin, "get");
        CHECK(get && get()[4999] == 1);
        CHECK(dlsym(plugin, "no_such_name") == NULL && dlerror() != NULL);
        CHECK(dlclose(plugin) == 0);
    }
    unlink(path);
    rmdir(folder);
    passed("in_dlopened_constructors_and_destructors");
    passed("dlsym_and_dlerror_allocate");
    return 0;
}
