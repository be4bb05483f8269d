// A program with a malloc of its own, which maps and protects pages under its lock before the shim
// is initialised, after a failed dlsym: the next dlsym would free that message, under the lock.
#include "check.h"
#include <dlfcn.h>
#include <sys/mman.h>

static char room[1 << 22];
static size_t used;
static int locked, maps, mapped;

static void lock(void) {
    static const char text[] = "the program's allocator is called under its lock\n";
    if (locked) _exit(write(2, text, sizeof text - 1) > 0 ? 1 : 2);
    locked = 1;
}

void *malloc(size_t bytes) {
    lock();
    if (maps) {
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED || mprotect(page, 4096, PROT_READ) != 0 ||
            madvise(page, 4096, MADV_DONTDUMP) != 0 || munmap(page, 4096) != 0)
            _exit(3);
        mapped++;
    }
    void *block = room + used;
    used += (bytes + 31) / 16 * 16;
    locked = 0;
    return used <= sizeof room ? block : NULL;
}

void free(void *block) {
    lock();
    locked = 0;
    (void)block;
}

void *calloc(size_t count, size_t size) { return malloc(count * size); }

void *realloc(void *old, size_t bytes) {
    char *block = malloc(bytes);
    // Bytes behind the former block lie in the room, too.
    if (old != NULL && block != NULL) memmove(block, old, bytes);
    return block;
}

static void before_all(void) {
    if (dlsym(RTLD_DEFAULT, "no_such_function") != NULL) _exit(4);
    maps = 1;
    if (malloc(10) == NULL) _exit(5);
}

__attribute__((section(".preinit_array"), used)) static void (*first)(void) = before_all;

int main(void) {
    CHECK(mapped > 0 && strdup("text") != NULL);
    passed("maps_under_its_lock");
    return 0;
}
