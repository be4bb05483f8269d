// A constructor of a library that dlopen loads waits for a thread, with the dynamic linker's lock
// held: no call of that thread waits for the lock.
// library: waiting.cpp
#include "check.h"
#include <dlfcn.h>
#include <sys/wait.h>

int main() {
    static const char *const kinds[] = {"thrd_create", "unannounced", "timer"};
    for (const char *kind : kinds) {
        pid_t child = fork();
        if (child == 0) {
            alarm(5);
            setenv("KIND", kind, 1);
            if (dlopen("./waiting.so", RTLD_NOW) == nullptr) puts(dlerror());
            else _exit(0);
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
