// MEMOMAN_STATS with a path: each process appends its table to a file, with its name and number. A
// program's own file in the place of stderr gets none.
#include "check.h"
#include <fcntl.h>
#include <sys/wait.h>

static char folder[] = "/tmp/memoman-stats-XXXXXX", path[128], text[8192];

static const char *contents(const char *file) {
    FILE *stream = fopen(file, "r");
    if (stream == NULL) return NULL;
    size_t bytes = fread(text, 1, sizeof text - 1, stream);
    text[bytes] = 0;
    fclose(stream);
    unlink(file);
    return text;
}

/* Runs this program again with MEMOMAN_STATS=`value`, its stderr in the file `errors`. */
static pid_t run(const char *value, const char *argument, const char *errors) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int file = open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        setenv("MEMOMAN_STATS", value, 1);
        if (file < 0 || dup2(file, 2) != 2) _exit(8);
        execl("/proc/self/exe", "a/b/renamed", argument, errors, (char *)NULL);
        _exit(9);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return pid;
}

/* The program that is run. */
static int runs(char **arguments) {
    free(malloc(100));
    if (strcmp(arguments[1], "forks") == 0) {
        /* What the environment says at the end does not matter. */
        unsetenv("MEMOMAN_STATS");
        if (fork() == 0) exit(0);
        wait(NULL);
    }
    if (strcmp(arguments[1], "replaces") == 0) {
        char data[160];
        snprintf(data, sizeof data, "%s.data", arguments[2]);
        close(2);
        if (open(data, O_WRONLY | O_CREAT | O_TRUNC, 0600) != 2) return 1;
    }
    return 0;
}

static int count(const char *in, const char *what) {
    int found = 0;
    for (const char *at = in; (at = strstr(at, what)) != NULL; at++) found++;
    return found;
}

int main(int arguments_given, char **arguments) {
    if (arguments_given > 1) return runs(arguments);
    char errors[64], data[80], line[192];
    CHECK(mkdtemp(folder));
    snprintf(errors, sizeof errors, "%s/errors", folder);
    snprintf(data, sizeof data, "%s.data", errors);

    snprintf(path, sizeof path, "%s/table.%%p.of.%%p", folder);
    pid_t pid = run(path, "plain", errors);
    snprintf(path, sizeof path, "%s/table.%d.of.%d", folder, (int)pid, (int)pid);
    snprintf(line, sizeof line, "memoman: renamed, process %d\n", (int)pid);
    CHECK(contents(path) && strncmp(text, line, strlen(line)) == 0);
    CHECK(count(text, "\nmemoman: ") == 8);
    CHECK(contents(errors) && text[0] == 0);
    passed("the_table_goes_to_a_file_with_the_process_in_its_name");

    snprintf(path, sizeof path, "%s/all", folder);
    pid = run(path, "forks", errors);
    snprintf(line, sizeof line, "memoman: renamed, process %d\n", (int)pid);
    CHECK(contents(path) && strstr(text, line) && count(text, "renamed, process") == 2);
    CHECK(contents(errors) && text[0] == 0);
    passed("processes_append_to_one_file");

    snprintf(path, sizeof path, "%s/none/all", folder);
    run(path, "plain", errors);
    snprintf(line, sizeof line, "memoman: MEMOMAN_STATS: cannot write to %s (errno 2)\n", path);
    CHECK(contents(errors) && strcmp(text, line) == 0);
    passed("a_file_that_cannot_be_written_is_reported");

    pid = run("1", "plain", errors);
    snprintf(line, sizeof line, "memoman: renamed, process %d\n", (int)pid);
    CHECK(contents(errors) && strncmp(text, line, strlen(line)) == 0);
    run("1", "replaces", errors);
    CHECK(contents(errors) && text[0] == 0);
    CHECK(contents(data) && text[0] == 0);
    passed("a_file_in_the_place_of_stderr_gets_no_table");
    rmdir(folder);
    return 0;
}
