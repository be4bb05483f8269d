// Freed by the parent and again by its child.
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: POINTER
#include "check.h"
#include <signal.h>
#include <sys/wait.h>

int main(void) {
    char *p = malloc(40), *guard = malloc(40);
    int status;
    free(p);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        misused(p);
        free(opaque(p));
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    free(guard);
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    return 0;
}
