// The first process of the machine of scripts/arm64.sh: runs the thread program with glibc's malloc
// and with the shim, each program of /tests under the shim, and switches the machine off.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

// run FILE: NAME is its first argument.
static int run(const char *file, const char *name, char *const environment[]) {
    char *arguments[] = {(char *)name, NULL};
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        execve(file, arguments, environment);
        _exit(9);
    }
    waitpid(child, &status, 0);
    if (status != 0) printf("arm64: %s ended with status %#x\n", name, status);
    fflush(stdout);
    return status;
}

int main(void) {
    mount("proc", "/proc", "proc", 0, NULL);
    char *none[] = {NULL}, *shim[] = {"LD_PRELOAD=/lib/libmemoman_preload.so", NULL};
    printf("arm64: pages of %ld bytes\n", sysconf(_SC_PAGESIZE));
    run("/threads", "glibc", none);
    run("/threads", "memoman", shim);
    int passed = 0;
    DIR *tests = opendir("/tests");
    for (struct dirent *entry; tests != NULL && (entry = readdir(tests)) != NULL;) {
        char file[300];
        if (entry->d_name[0] == '.') continue;
        snprintf(file, sizeof file, "/tests/%s", entry->d_name);
        passed += run(file, entry->d_name, shim) == 0;
    }
    printf("arm64: %d programs passed\n", passed);
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    return 0;
}
