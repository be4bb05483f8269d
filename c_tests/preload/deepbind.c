// Libraries that are loaded with RTLD_DEEPBIND, which prefers the C library's functions to the
// shim's: their blocks come from the one heap.
// library: deep.c -Wl,-rpath,$ORIGIN,--enable-new-dtags
// library: inner.c
#include "check.h"
#include <dlfcn.h>

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    CHECK(found);
    return found;
}

static void cross(void *library) {
    CHECK(((int (*)(void))symbol(library, "deep_frees_what_the_c_library_allocated"))());
    void *(*gives)(void) = (void *(*)(void))symbol(library, "deep_gives");
    void (*takes)(void *) = (void (*)(void *))symbol(library, "deep_takes");
    for (int i = 0; i < 100; i++) {
        free(gives());
        takes(malloc(100));
        takes(strdup("text"));
    }
}

int main(void) {
    void *library = dlopen("./deep.so", RTLD_NOW | RTLD_DEEPBIND);
    CHECK(library);
    cross(library);
    passed("a_deepbind_library_shares_the_heap");
    // The caller is the library, in whose RUNPATH the name is found.
    void *(*loads)(const char *, int) =
        (void *(*)(const char *, int))symbol(library, "deep_loads");
    CHECK(dlopen("inner.so", RTLD_NOW) == NULL && dlerror() != NULL);
    void *inner = loads("inner.so", RTLD_NOW | RTLD_DEEPBIND);
    CHECK(inner);
    free(((void *(*)(void))symbol(inner, "inner_gives"))());
    CHECK(dlclose(inner) == 0);
    passed("dlopen_keeps_its_caller");
    CHECK(dlclose(library) == 0);
    library = dlmopen(LM_ID_BASE, "./deep.so", RTLD_NOW | RTLD_DEEPBIND);
    CHECK(library);
    cross(library);
    CHECK(dlclose(library) == 0);
    passed("dlmopen_into_the_programs_namespace_shares_the_heap");
    CHECK(dlopen("./none.so", RTLD_NOW | RTLD_DEEPBIND) == NULL && strstr(dlerror(), "none.so"));
    CHECK(dlopen("./deep.so", RTLD_NOW | RTLD_NOLOAD) == NULL);
    passed("a_failing_dlopen_says_why");
    return 0;
}
