// The first process of the machine of scripts/arm64.sh: runs the thread program with glibc's malloc
// and with the shim, and switches the machine off.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(const char *name, char *const environment[]) {
    char *arguments[] = {(char *)name, NULL};
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        execve("/threads", arguments, environment);
        _exit(9);
    }
    waitpid(child, &status, 0);
    if (status != 0) printf("arm64: %s ended with status %#x\n", name, status);
    fflush(stdout);
}

int main(void) {
    mount("proc", "/proc", "proc", 0, NULL);
    char *none[] = {NULL}, *shim[] = {"LD_PRELOAD=/lib/libmemoman_preload.so", NULL};
    run("glibc", none);
    run("memoman", shim);
    sync();
    reboot(RB_POWER_OFF);
    return 0;
}
