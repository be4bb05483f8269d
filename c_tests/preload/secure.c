// A program with more rights than its caller ignores the caller's environment. A copy of this
// program, owned by root, runs for user 65534, with the set-user-id bit and without.
// only-linked: plain
#include "check.h"
#include <malloc.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* In the copy: the effect of the environment, and whether this is a secure execution. */
static int says(void) {
    free(malloc(100));
    printf("secure %lu arena %zu\n", getauxval(AT_SECURE), mallinfo2().arena);
    /* Before the table of MEMOMAN_STATS. */
    fflush(stdout);
    return 0;
}

/* Runs the copy for a user without rights; `text` gets its stdout and stderr. */
static void run(const char *copy, char *text, size_t bytes) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        char *arguments[] = {(char *)copy, "says", NULL};
        char *environment[] = {"MEMOMAN_RESERVE=64M", "MEMOMAN_GROW=0", "MEMOMAN_STATS=1",
                               "MEMOMAN_STAT=1", NULL};
        dup2(ends[1], 1), dup2(ends[1], 2);
        if (setgid(65534) != 0 || setuid(65534) != 0) _exit(8);
        execve(copy, arguments, environment);
        _exit(9);
    }
    close(ends[1]);
    size_t had = 0;
    for (ssize_t more; (more = read(ends[0], text + had, bytes - 1 - had)) > 0;)
        had += (size_t)more;
    text[had] = 0;
    close(ends[0]);
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int count, char **arguments) {
    if (count > 1) return says();
    (void)arguments;
    static const char name[] = "environment_is_ignored_in_secure_execution";
    if (geteuid() != 0) {
        skipped(name, "only root can make a set-user-id program owned by root");
        return 0;
    }
    char folder[] = "/var/tmp/memoman-secure-XXXXXX", copy[64], command[128], with[4096],
         without[4096];
    CHECK(mkdtemp(folder) && chmod(folder, 0755) == 0);
    snprintf(copy, sizeof copy, "%s/copy", folder);
    snprintf(command, sizeof command, "cp /proc/%d/exe %s", getpid(), copy);
    CHECK(system(command) == 0);
    CHECK(chmod(copy, 0755) == 0);
    run(copy, without, sizeof without);
    CHECK(chmod(copy, 04755) == 0);
    run(copy, with, sizeof with);
    unlink(copy);
    rmdir(folder);
    unsigned long secure = 9;
    size_t arena = 0;
    /* The line about an unknown variable comes first. */
    const char *said = strstr(without, "secure ");
    CHECK(said != NULL && sscanf(said, "secure %lu arena %zu", &secure, &arena) == 2);
    CHECK(secure == 0 && arena >= 64 << 20 && strstr(without, "memoman: allocations") &&
          strstr(without, "memoman: MEMOMAN_STAT ignored"));
    passed("environment_is_heeded_otherwise");
    CHECK(sscanf(with, "secure %lu arena %zu", &secure, &arena) == 2);
    if (secure == 0) {
        skipped(name, "this system ignores the set-user-id bit in /var/tmp");
        return 0;
    }
    CHECK(arena < 8 << 20 && !strstr(with, "memoman"));
    passed(name);
    return 0;
}
