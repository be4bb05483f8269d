/* What libmemoman.so needs of a compiler's start files, which take 1 KiB: the name under which the
 * C library knows what the library has registered, and the call that ends that when it is
 * unloaded. */
extern void __cxa_finalize(void *) __attribute__((weak));

__attribute__((visibility("hidden"))) void *__dso_handle = &__dso_handle;

__attribute__((destructor)) static void unload(void) {
    if (__cxa_finalize) __cxa_finalize(__dso_handle);
}
