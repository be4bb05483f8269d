#include "suite.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

static suite_test *first_test, **last_test = &first_test;

/* The jump target of a failed check: one per thread, since each may fail. */
static __thread sigjmp_buf *escape;
static __thread char context[256];
static __thread void (*context_describe)(char *text, size_t bytes, const void *about);
static __thread const void *context_about;

static pthread_mutex_t failure_lock = PTHREAD_MUTEX_INITIALIZER;
static char failure_text[1024];
static void (*failure_report)(void);
static const suite_test *running;

/* Memory of the running test. */
#define MEMORY_MAX 4096
static void *memory[MEMORY_MAX];
static size_t memory_count;

void suite_register(suite_test *test) {
    *last_test = test;
    last_test = &test->next;
}

void suite_context(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
}

void suite_describe(void (*describe)(char *text, size_t bytes, const void *about),
                    const void *about) {
    context_describe = describe;
    context_about = about;
}

static void ask_for_context(void) {
    if (context_describe) context_describe(context, sizeof context, context_about);
    context_describe = NULL;
}

void suite_on_failure(void (*report)(void)) {
    pthread_mutex_lock(&failure_lock);
    failure_report = report;
    pthread_mutex_unlock(&failure_lock);
}

static void report_once(void) {
    void (*report)(void) = failure_report;
    failure_report = NULL;
    if (report) report();
}

const int suite_orders[6][3] = {
    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0},
};

void suite_fail(const char *file, int line, const char *format, ...) {
    char text[768];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    ask_for_context();
    pthread_mutex_lock(&failure_lock);
    if (!failure_text[0] &&
        snprintf(failure_text, sizeof failure_text, "%s:%d: %s%s%s%s", file, line, text,
                 context[0] ? " [" : "", context, context[0] ? "]" : "") < 0)
        failure_text[0] = '?';
    report_once();
    pthread_mutex_unlock(&failure_lock);
    if (escape) siglongjmp(*escape, 1);
    fprintf(stderr, "%s\n", failure_text);
    abort();
}

/* A deadly signal: names the test, writes its log, and returns. The handler is removed by then
 * (SA_RESETHAND), so the signal comes again, from abort or from the instruction, and ends the
 * process. (TSan holds locks while it aborts: no function that it intercepts may be called
 * here.) */
static void on_signal(int number) {
    char line[400];
    ask_for_context();
    int length = snprintf(line, sizeof line, "FAIL %s %s: signal %d%s%s%s\n",
                          running ? running->group : "?", running ? running->name : "?", number,
                          context[0] ? " [" : "", context, context[0] ? "]" : "");
    if (length > 0 && write(STDOUT_FILENO, line, (size_t)length) < 0) _exit(1);
    report_once();
}

static void catch_once(int number) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(number, &action, NULL);
}

void *suite_memory_at(size_t align, size_t offset, size_t bytes) {
    void *start;
    if (align < sizeof(void *)) align = sizeof(void *);
    if (memory_count == MEMORY_MAX || posix_memalign(&start, align, offset + bytes) != 0)
        suite_fail(__FILE__, __LINE__, "no memory for the test: %zu bytes", bytes);
    memory[memory_count++] = start;
    return (char *)start + offset;
}

void *suite_memory(size_t align, size_t bytes) {
    return suite_memory_at(align, 0, bytes);
}

void suite_release(void) {
    while (memory_count) free(memory[--memory_count]);
}

unsigned long long suite_env(const char *name, unsigned long long otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void *thread_main(void *argument) {
    suite_thread *thread = argument;
    sigjmp_buf here;
    if (sigsetjmp(here, 0) == 0) {
        escape = &here;
        thread->run(thread->argument);
    } else {
        thread->failed = 1;
    }
    escape = NULL;
    return NULL;
}

void suite_start(suite_thread *thread, void (*run)(void *), void *argument) {
    thread->run = run;
    thread->argument = argument;
    thread->failed = 0;
    if (pthread_create(&thread->id, NULL, thread_main, thread) != 0)
        suite_fail(__FILE__, __LINE__, "pthread_create failed");
}

void suite_join(suite_thread *thread) {
    pthread_join(thread->id, NULL);
    if (thread->failed) suite_fail(__FILE__, __LINE__, "a thread failed");
}

int suite_in_child(void (*body)(void *), void *argument, char *text, size_t size_of_text) {
    int ends[2], status = 0;
    size_t length = 0;
    ssize_t got;
    fflush(stdout);
    if (pipe(ends) != 0) suite_fail(__FILE__, __LINE__, "pipe failed");
    pid_t child = fork();
    if (child < 0) suite_fail(__FILE__, __LINE__, "fork failed");
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        body(argument);
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], text + length, size_of_text - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = 0;
    /* An emulator adds a line of its own to the program's. */
    char *emulator = strstr(text, "qemu: uncaught target signal ");
    if (emulator) *emulator = 0;
    close(ends[0]);
    waitpid(child, &status, 0);
    return status;
}

static int run_test(const suite_test *test) {
    sigjmp_buf here;
    volatile int failed = 0; /* set after a jump back */
    running = test;
    failure_text[0] = context[0] = 0;
    failure_report = NULL;
    context_describe = NULL;
    if (sigsetjmp(here, 0) == 0) {
        escape = &here;
        test->run();
    } else {
        failed = 1;
    }
    escape = NULL;
    suite_release();
    if (failed)
        printf("FAIL %s %s %s\n", test->group, test->name, failure_text);
    else
        printf("ok %s %s\n", test->group, test->name);
    fflush(stdout);
    return failed;
}

static int is_wanted(const suite_test *test, int count, char **names) {
    char name[200];
    if (count == 0) return 1;
    snprintf(name, sizeof name, "%s_%s", test->group, test->name);
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return 1;
    return 0;
}

int main(int count, char **arguments) {
    int passed = 0, failed = 0;
    if (count == 2 && strcmp(arguments[1], "--list") == 0) {
        for (const suite_test *test = first_test; test; test = test->next)
            printf("%s %s\n", test->group, test->name);
        return 0;
    }
    catch_once(SIGABRT);
    if (!SUITE_ASAN && !SUITE_TSAN) {
        /* A sanitizer reports these better. */
        catch_once(SIGSEGV);
        catch_once(SIGBUS);
        catch_once(SIGILL);
        catch_once(SIGFPE);
    }
    for (const suite_test *test = first_test; test; test = test->next)
        if (is_wanted(test, count - 1, arguments + 1)) {
            if (run_test(test))
                failed++;
            else
                passed++;
        }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
