// A constructor of a library that dlopen loads waits for a thread, with the dynamic linker's lock
// held: no call of that thread waits for the lock. The program replaces a C++ operator, so that the
// shim's other operators go by name.
// library: waiting.cpp
#include "check.h"
#include <dlfcn.h>
#include <new>
#include <sys/wait.h>

static volatile int count;

void *operator new(size_t bytes) {
    count = count + 1;
    void *block = malloc(bytes);
    if (block == nullptr) throw std::bad_alloc();
    return block;
}

void operator delete(void *block) noexcept { free(block); }
void operator delete(void *block, size_t) noexcept { free(block); }

int main() {
    static const char *const kinds[] = {"thrd_create", "unannounced", "timer", "operators"};
    for (const char *kind : kinds) {
        pid_t child = fork();
        if (child == 0) {
            alarm(5);
            setenv("KIND", kind, 1);
            if (dlopen("./waiting.so", RTLD_NOW) == nullptr) puts(dlerror());
            else if (strcmp(kind, "operators") != 0 || count > 0) _exit(0);
            fflush(stdout);
            _exit(1);
        }
        int status;
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        if (status != 0) printf("%s: status 0x%x\n", kind, (unsigned)status);
        CHECK(status == 0);
    }
    passed("a_thread_allocates_while_the_linker_s_lock_is_held");
    return 0;
}
