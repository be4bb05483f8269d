// Forks while other threads hold the C library's stream locks and allocate: getline allocates with
// its stream locked, fflush(NULL) takes the list's lock and every stream's, and fork takes the
// list's lock after the fork handlers.
// Not under the debug shim: its threads wait for a fork (the harness leaves it out).
#include "check.h"
#include <sys/wait.h>

enum { FORKS = 60, LINE = 200000 };

static int stop;
static char path[] = "/tmp/memoman_fork_streams_XXXXXX";

static void *read_lines(void *unused) {
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        char *line = NULL;
        size_t room = 0;
        rewind(file);
        CHECK(getline(&line, &room, file) == LINE);
        free(line);
    }
    fclose(file);
    return unused;
}

static void *open_and_close(void *unused) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        FILE *file = fopen(path, "r");
        CHECK(file != NULL && getc(file) == 'x');
        fclose(file);
    }
    return unused;
}

static void *flush(void *unused) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) fflush(NULL);
    return unused;
}

int main(void) {
    alarm(150);
    int file = mkstemp(path);
    char *text = malloc(LINE);
    memset(text, 'x', LINE);
    text[LINE - 1] = '\n';
    CHECK(file >= 0 && write(file, text, LINE) == LINE && close(file) == 0);
    free(text);
    pthread_t threads[4];
    void *(*const bodies[])(void *) = {read_lines, read_lines, flush, open_and_close};
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, bodies[i], NULL) == 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(20);
            for (size_t bytes = 1; bytes < 200000; bytes *= 2) free(malloc(bytes));
            FILE *own = fopen(path, "r");
            if (own == NULL || fclose(own) != 0) _exit(1);
            _exit(0);
        }
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    unlink(path);
    passed("forks_while_streams_are_locked");
    return 0;
}
