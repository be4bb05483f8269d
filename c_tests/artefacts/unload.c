// unload LIBRARY: loads the library, uses it in a thread, unloads it, and then lets the thread end.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void *(*allocate)(size_t);
static void (*release)(void *);
static pthread_barrier_t used, unloaded;

static void *life(void *unused) {
    release(allocate(1000));
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&unloaded);
    return unused;
}

int main(int argc, char **argv) {
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) {
        fprintf(stderr, "unload: no library: %s\n", argc == 2 ? dlerror() : "name one");
        return 2;
    }
    *(void **)&allocate = dlsym(library, "mm_malloc_global");
    *(void **)&release = dlsym(library, "mm_free_global");
    pthread_t thread;
    pthread_barrier_init(&used, NULL, 2);
    pthread_barrier_init(&unloaded, NULL, 2);
    if (!allocate || !release || pthread_create(&thread, NULL, life, NULL)) return 2;
    pthread_barrier_wait(&used);
    dlclose(library);
    Dl_info info;
    if (dladdr(*(void **)&allocate, &info)) {
        fprintf(stderr, "unload: the library is still loaded\n");
        return 1;
    }
    // The thread's exit must not call a destructor in the unloaded library.
    pthread_barrier_wait(&unloaded);
    pthread_join(thread, NULL);
    return 0;
}
