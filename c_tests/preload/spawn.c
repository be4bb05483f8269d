// posix_spawn, vfork and exec, system, popen.
#include "check.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(void) {
    for (int i = 0; i < 20; i++) {
        char *arguments[] = {"true", NULL};
        pid_t child;
        int status;
        CHECK(posix_spawnp(&child, "true", NULL, NULL, arguments, environ) == 0);
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        child = vfork();
        if (child == 0) {
            execlp("true", "true", (char *)NULL);
            _exit(1);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    passed("posix_spawn_and_vfork_exec");
    CHECK(system("exit 7") == 7 << 8);
    FILE *pipe = popen("echo hello", "r");
    char line[32] = "";
    CHECK(pipe && fgets(line, sizeof line, pipe) && strcmp(line, "hello\n") == 0 &&
          pclose(pipe) == 0);
    passed("system_and_popen");
    return 0;
}
