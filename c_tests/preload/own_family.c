// A program with a malloc family of its own: functions of the C library that build on it call it.
#include "check.h"
#include <dlfcn.h>

static _Alignas(16) char memory[4 << 20];
static volatile size_t used;
/* volatile: the C library promises the compiler that its functions do not call back. */
static volatile int frees, reallocs;

static int is_own(const void *pointer) {
    const char *at = pointer;
    return at >= memory && at < memory + sizeof memory;
}

void *malloc(size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > sizeof memory - 16 - used) return NULL;
    size_t *block = (size_t *)(void *)(memory + used);
    block[0] = bytes;
    used += bytes + 16;
    return block + 2;
}

void free(void *pointer) {
    if (pointer == NULL) return;
    if (!is_own(pointer)) _exit(9);
    frees++;
}

void *calloc(size_t count, size_t size) {
    void *block = malloc(count * size);
    if (block) memset(block, 0, count * size);
    return block;
}

void *realloc(void *pointer, size_t bytes) {
    reallocs++;
    void *block = malloc(bytes);
    if (block && pointer) {
        size_t old = ((size_t *)pointer)[-2];
        memcpy(block, pointer, old < bytes ? old : bytes);
    }
    free(pointer);
    return block;
}

int main(void) {
    char *text = malloc(100);
    strcpy(text, "kept");
    text = reallocarray(text, 10, 50);
    CHECK(is_own(text) && strcmp(text, "kept") == 0 && reallocs == 1 && frees == 1);
    void *fresh = reallocarray(NULL, 10, 50);
    CHECK(is_own(fresh) && reallocs == 2);
    volatile size_t many = SIZE_MAX / 2;
    errno = 0;
    CHECK(reallocarray(text, many, 3) == NULL && errno == ENOMEM && reallocs == 2);
    free(fresh), free(text);
    passed("reallocarray_calls_the_programs_realloc");
    char *line = strdup("text");
    CHECK(is_own(line));
    free(line);
    CHECK(asprintf(&line, "%d", 5) == 1 && is_own(line));
    free(line);
    passed("the_c_library_calls_the_programs_malloc");
    void (*free_sized)(void *, size_t) =
        (void (*)(void *, size_t))(uintptr_t)dlsym(RTLD_DEFAULT, "free_sized");
    void (*free_aligned_sized)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))(uintptr_t)dlsym(RTLD_DEFAULT, "free_aligned_sized");
    CHECK(free_sized && free_aligned_sized);
    int before = frees;
    free_sized(malloc(100), 100);
    free_aligned_sized(malloc(100), 16, 100);
    CHECK(frees == before + 2);
    passed("free_sized_calls_the_programs_free");
    return 0;
}
