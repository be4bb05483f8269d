// C23's free_sized with a size that was not requested. (glibc 2.36 does not declare it.)
// expect-signal: SIGABRT
// expect-stderr: memoman: freed with another size than requested: 0x
// expect-stderr: block of 40 bytes allocated at SITE
#include "../../preload/check.h"
#include <dlfcn.h>

int main(void) {
    void (*free_sized)(void *, size_t);
    *(void **)&free_sized = dlsym(RTLD_DEFAULT, "free_sized");
    CHECK(free_sized != NULL);
    free_sized(opaque(malloc(40)), 40);
    free_sized(opaque(malloc(0)), 0);
    free_sized(NULL, 40);
    passed("free_sized_of_the_requested_size_frees");
    free_sized(opaque(malloc(40)), 41);
    return 0;
}
