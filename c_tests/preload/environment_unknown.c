// Variables that do not exist are named once, with those that do; other prefixes are not ours.
// env: MEMOMAN_STAT=1
// env: MEMOMAN_=1
// env: MEMOMANX=1
// expect-stderr: memoman: MEMOMAN_* ignored: the variables are MEMOMAN_RESERVE, MEMOMAN_GROW, MEMOMAN_LOCK, MEMOMAN_STATS*
#include "check.h"
#include <sys/wait.h>

/* Runs this program again and returns the lines that the library prints. */
static int lines_of_another_run(char *text, size_t bytes) {
    FILE *pipe = popen("/proc/$PPID/exe again 2>&1 >/dev/null", "r");
    CHECK(pipe);
    size_t had = fread(text, 1, bytes - 1, pipe);
    text[had] = 0;
    CHECK(pclose(pipe) == 0);
    int lines = 0;
    for (size_t i = 0; i < had; i++) lines += text[i] == '\n';
    return lines;
}

int main(int count, char **arguments) {
    (void)arguments;
    free(malloc(10));
    if (count > 1) return 0;
    char text[4096];
    unsetenv("MEMOMANX");
    setenv("MEMOMAN_STATS", "0", 1);
    CHECK(lines_of_another_run(text, sizeof text) == 1);
    CHECK(strstr(text, "MEMOMAN_STAT") && strstr(text, "MEMOMAN_,"));
    unsetenv("MEMOMAN_"), unsetenv("MEMOMAN_STAT");
    setenv("MEMOMANX", "1", 1);
    CHECK(lines_of_another_run(text, sizeof text) == 0);
    passed("unknown_variables_are_named_once");
    return 0;
}
