/* A test framework of one header and one source file.
 *
 *     TEST(A, malloc_of_zero) { CHECK_EQ(f(0), 0); }
 *
 * registers itself under its group. A program runs all its tests, or those named as arguments
 * ("A_malloc_of_zero"); `--list` lists them. Each prints "ok A malloc_of_zero" or "FAIL A
 * malloc_of_zero file:line: what"; the last line counts. A failed check ends its test at once.
 * Checks work in threads started with suite_start. */
#ifndef SUITE_H
#define SUITE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define SUITE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SUITE_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define SUITE_TSAN 1
#endif
#endif
#ifndef SUITE_ASAN
#define SUITE_ASAN 0
#endif
#if !defined(SUITE_TSAN) && defined(__SANITIZE_THREAD__)
#define SUITE_TSAN 1
#endif
#ifndef SUITE_TSAN
#define SUITE_TSAN 0
#endif

typedef struct suite_test {
    const char *group, *name;
    void (*run)(void);
    struct suite_test *next;
} suite_test;

void suite_register(suite_test *test);

#define TEST(group_, name_)                                                                        \
    static void group_##_##name_(void);                                                            \
    static suite_test group_##_##name_##_entry = {#group_, #name_, group_##_##name_, NULL};        \
    __attribute__((constructor)) static void group_##_##name_##_register(void) {                   \
        suite_register(&group_##_##name_##_entry);                                                 \
    }                                                                                              \
    static void group_##_##name_(void)

/* A test that needs 64-bit sizes. On 32-bit targets it is compiled but not registered: it must not
 * pass without having run. */
#if SIZE_MAX > 0xFFFFFFFF
#define TEST_64(group_, name_) TEST(group_, name_)
#else
#define TEST_64(group_, name_) __attribute__((unused)) static void group_##_##name_(void)
#endif

/* Ends the running test (or the running thread's part of it) as failed. */
__attribute__((noreturn, format(printf, 3, 4))) void suite_fail(const char *file, int line,
                                                                const char *format, ...);

/* The subject of the next checks, printed with a failure: which turn of a loop, say. */
__attribute__((format(printf, 1, 2))) void suite_context(const char *format, ...);

/* A context for hot loops, formatted only when a check fails, by `describe`. NULL ends it. */
void suite_describe(void (*describe)(char *text, size_t bytes, const void *about),
                    const void *about);

/* `report` is called once, when a check fails or the process gets a deadly signal: it writes a
 * log. */
void suite_on_failure(void (*report)(void));

#define CHECK(expression)                                                                          \
    do {                                                                                           \
        if (!(expression)) suite_fail(__FILE__, __LINE__, "%s", #expression);                      \
    } while (0)

#define SUITE_COMPARE(a, relation, b)                                                              \
    do {                                                                                           \
        unsigned long long suite_a = (unsigned long long)(a), suite_b = (unsigned long long)(b);   \
        if (!(suite_a relation suite_b))                                                           \
            suite_fail(__FILE__, __LINE__, "%s %s %s: %llu (0x%llx) against %llu (0x%llx)", #a,    \
                       #relation, #b, suite_a, suite_a, suite_b, suite_b);                         \
    } while (0)

/* Integers and sizes, compared as unsigned. */
#define CHECK_EQ(a, b) SUITE_COMPARE(a, ==, b)
#define CHECK_NE(a, b) SUITE_COMPARE(a, !=, b)
#define CHECK_LE(a, b) SUITE_COMPARE(a, <=, b)
#define CHECK_GE(a, b) SUITE_COMPARE(a, >=, b)

#define CHECK_PTR(a, b)                                                                            \
    do {                                                                                           \
        const void *suite_a = (a), *suite_b = (b);                                                 \
        if (suite_a != suite_b)                                                                    \
            suite_fail(__FILE__, __LINE__, "%s == %s: %p against %p", #a, #b, suite_a, suite_b);   \
    } while (0)
#define CHECK_NULL(a) CHECK_PTR(a, NULL)

#define CHECK_TEXT(a, b)                                                                           \
    do {                                                                                           \
        const char *suite_a = (a), *suite_b = (b);                                                 \
        if (!suite_a || !suite_b || strcmp(suite_a, suite_b) != 0)                                 \
            suite_fail(__FILE__, __LINE__, "%s == %s: \"%s\" against \"%s\"", #a, #b,              \
                       suite_a ? suite_a : "(null)", suite_b ? suite_b : "(null)");                \
    } while (0)

/* Memory of exactly `bytes` bytes (a sanitizer sees the first byte outside), freed when the test
 * ends. `offset` bytes after a multiple of `align`. Not from memoman. */
void *suite_memory_at(size_t align, size_t offset, size_t bytes);
void *suite_memory(size_t align, size_t bytes);
/* Frees all of the test's memory before its end, for tests that start over many times. */
void suite_release(void);

/* A number from the environment, or `otherwise`. */
unsigned long long suite_env(const char *name, unsigned long long otherwise);

/* A thread whose failed check fails the test that joins it. */
typedef struct suite_thread {
    pthread_t id;
    void (*run)(void *);
    void *argument;
    int failed;
} suite_thread;
void suite_start(suite_thread *thread, void (*run)(void *), void *argument);
void suite_join(suite_thread *thread);

/* Runs `body` in a forked child with stderr caught in `text`; returns the wait status. */
int suite_in_child(void (*body)(void *), void *argument, char *text, size_t size_of_text);

/* The six orders of three things. */
extern const int suite_orders[6][3];

/* A small fast generator (xorshift64*). */
typedef struct suite_random {
    uint64_t state;
} suite_random;
static inline uint64_t suite_next(suite_random *random) {
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * UINT64_C(0x2545F4914F6CDD1D);
}
static inline size_t suite_below(suite_random *random, size_t bound) {
    return bound ? (size_t)((suite_next(random) >> 16) % bound) : 0;
}
static inline suite_random suite_seeded(uint64_t seed) {
    suite_random random = {(seed + 1) * UINT64_C(0x9E3779B97F4A7C15)};
    if (!random.state) random.state = 1;
    (void)suite_next(&random);
    return random;
}

#endif
