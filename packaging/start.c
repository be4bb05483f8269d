/* What libmemoman.so needs of a compiler's start files, which take 1 KiB: the name under which the
 * C library knows what the library has registered, and the call that ends that when it is
 * unloaded. */
#include <stdint.h>

extern void __cxa_finalize(void *) __attribute__((weak));

__attribute__((visibility("hidden"))) void *__dso_handle = &__dso_handle;

__attribute__((destructor)) static void unload(void) {
    if (__cxa_finalize) __cxa_finalize(__dso_handle);
}

#ifdef __GLIBC__
/* glibc links both into each library, with calls through a procedure linkage table and with unwind
 * tables. */
extern int __cxa_atexit(void (*)(void *), void *, void *);
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);

__attribute__((visibility("hidden"))) int atexit(void (*function)(void)) {
    return __cxa_atexit((void (*)(void *))(uintptr_t)function, 0, __dso_handle);
}

__attribute__((visibility("hidden"))) int pthread_atfork(void (*prepare)(void),
                                                         void (*parent)(void),
                                                         void (*child)(void)) {
    return __register_atfork(prepare, parent, child, __dso_handle);
}
#endif
