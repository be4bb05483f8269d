/* The C suite's frame for WebAssembly and Windows, in place of support/suite.c: no processes,
 * signals or jumps. The first failed check ends the program. */
#include "../support/suite.h"

#include <stdarg.h>

#ifdef _WIN32
#include <malloc.h>
static int posix_memalign(void **start, size_t align, size_t bytes) {
    *start = _aligned_malloc(bytes, align);
    return *start == NULL;
}
#define memory_free _aligned_free
#else
#define memory_free free
#endif

static suite_test *first_test, **last_test = &first_test;
static const suite_test *running;
static char context[256];

const int suite_orders[6][3] = {
    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0},
};

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
    (void)describe, (void)about;
}

void suite_on_failure(void (*report)(void)) {
    (void)report;
}

void suite_fail(const char *file, int line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("FAIL %s %s %s:%d: ", running->group, running->name, file, line);
    vprintf(format, arguments);
    va_end(arguments);
    printf(" [%s]\n", context);
    exit(1);
}

/* Memory of the running test. */
static void *memory[4096];
static size_t memory_count;

void *suite_memory_at(size_t align, size_t offset, size_t bytes) {
    void *start;
    if (align < sizeof(void *)) align = sizeof(void *);
    if (memory_count == sizeof memory / sizeof *memory ||
        posix_memalign(&start, align, offset + bytes) != 0)
        suite_fail(__FILE__, __LINE__, "no memory for the test: %zu bytes", bytes);
    memory[memory_count++] = start;
    return (char *)start + offset;
}

void *suite_memory(size_t align, size_t bytes) {
    return suite_memory_at(align, 0, bytes);
}

void suite_release(void) {
    while (memory_count) memory_free(memory[--memory_count]);
}

unsigned long long suite_env(const char *name, unsigned long long otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

#ifdef _WIN32
static void *thread_main(void *argument) {
    suite_thread *thread = argument;
    thread->run(thread->argument);
    return NULL;
}

void suite_start(suite_thread *thread, void (*run)(void *), void *argument) {
    thread->run = run;
    thread->argument = argument;
    if (pthread_create(&thread->id, NULL, thread_main, thread) != 0)
        suite_fail(__FILE__, __LINE__, "pthread_create failed");
}

void suite_join(suite_thread *thread) {
    pthread_join(thread->id, NULL);
}
#endif

int main(void) {
    for (const suite_test *test = first_test; test; test = test->next) {
        running = test;
        context[0] = 0;
        test->run();
        suite_release();
        printf("ok %s %s\n", test->group, test->name);
        fflush(stdout);
    }
    return first_test == NULL;
}
