/* The environment parser and its lines on stderr. scripts/fuzz.sh renames getenv and syscall in the
 * library's archive to the functions here. Each value is a copy of exactly its size. The expected
 * result is computed in another way: in 128 bits, in another order than the parser's. */
#include "harness.h"
#include <stdarg.h>
#include <sys/syscall.h>

void memoman_fuzz_environment(size_t *reserve, unsigned *switches);
const char *fuzz_getenv(const char *name);
long fuzz_syscall(long number, ...);

#define VARIABLES 4
static const struct variable {
    const char *name, *expected;
} variables[VARIABLES] = {
    {"MEMOMAN_RESERVE", "bytes, or a number with K, M or G"},
    {"MEMOMAN_GROW", "0 or 1"},
    {"MEMOMAN_LOCK", "0 or 1"},
    {"MEMOMAN_STATS", "0, 1, or a path with a slash"},
};

static char *values[VARIABLES]; /* NULL: not set */
static char said[4096];
static size_t said_bytes;
/* How write behaves: at most `most` bytes at a time, first `interrupted` times EINTR; `broken`:
 * always EIO. */
static size_t most, interrupted;
static int broken;

const char *fuzz_getenv(const char *name) {
    for (size_t i = 0; i < VARIABLES; i++)
        if (strcmp(name, variables[i].name) == 0) return values[i];
    suite_fail(__FILE__, __LINE__, "unknown variable %s", name);
}

/* Lines on stderr make one kind of system call: write. The library also looks for a barrier
 * between threads, which this process does not have. */
long fuzz_syscall(long number, ...) {
    if (number == SYS_prctl || number == SYS_membarrier) {
        errno = ENOSYS;
        return -1;
    }
    CHECK_EQ(number, SYS_write);
    va_list list;
    va_start(list, number);
    CHECK_EQ(va_arg(list, int), 2);
    const void *bytes = va_arg(list, const void *);
    size_t count = va_arg(list, size_t);
    va_end(list);
    CHECK(count > 0);
    if (broken || interrupted) {
        errno = broken ? EIO : EINTR;
        if (!broken) interrupted--;
        return -1;
    }
    if (count > most) count = most;
    CHECK(said_bytes + count < sizeof said);
    memcpy(said + said_bytes, bytes, count);
    said_bytes += count;
    return (long)count;
}

/* 0: malformed, or not set. */
static size_t size_of(const char *text) {
    __extension__ typedef unsigned __int128 wide;
    wide number = 0;
    size_t length = strlen(text), digits = strspn(text, "0123456789");
    const wide limit = SIZE_MAX / 2;
    if (digits == 0 || length > digits + 1) return 0;
    for (size_t i = 0; i < digits; i++)
        if (number <= limit) number = number * 10 + (wide)(text[i] - '0');
    if (number > limit) return 0;
    if (length > digits) {
        const char *unit = strchr("kKmMgG", text[digits]);
        if (!unit) return 0;
        number <<= 10 * ((unit - "kKmMgG") / 2 + 1);
    }
#ifdef PLANTED
    if (number > 1) number--;
#endif
    return number > limit ? 0 : (size_t)number;
}

static void expect(size_t which, char *lines) {
    char line[256];
    snprintf(line, sizeof line, "memoman: %s=%.64s ignored: expected %s\n", variables[which].name,
             values[which], variables[which].expected);
    strcat(lines, line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    unsigned set = take(&in), way = take(&in);
    char lines[2048] = "";
    size_t reserve = 0, got;
    unsigned switches = 0, on;
    for (size_t i = 0; i < VARIABLES; i++) {
        const uint8_t *end = in.left ? memchr(in.at, 0, in.left) : NULL;
        size_t length = end ? (size_t)(end - in.at) : in.left;
        values[i] = NULL;
        if (!(set >> i & 1)) continue;
        values[i] = malloc(length + 1);
        CHECK(values[i] != NULL);
        memcpy(values[i], in.at, length);
        values[i][length] = 0;
        in.at += length;
        in.left -= length;
        (void)take(&in);
        const char *text = values[i];
        int is_one = strcmp(text, "1") == 0, is_zero = strcmp(text, "0") == 0;
        if (i == 0 && !(reserve = size_of(text))) expect(i, lines);
        int is_path = i == 3 && strchr(text, '/') != NULL && length <= 255;
        if (i > 0 && !is_one && !is_zero && !is_path) expect(i, lines);
        if (i > 0) switches |= (unsigned)(i == 1 ? is_zero : is_one || is_path) << (i - 1);
    }
    said_bytes = 0;
    broken = way % 8 == 7;
    interrupted = way % 8 == 6 ? 3 : 0;
    most = way % 8 < 3 ? 1 + way / 8 : SIZE_MAX;
    errno = 77;
    memoman_fuzz_environment(&got, &on);
    CHECK_EQ(errno, 77);
    said[said_bytes] = 0;
    CHECK_EQ(got, reserve);
    CHECK_EQ(on, switches);
    if (!broken) CHECK_TEXT(said, lines);
    for (size_t i = 0; i < VARIABLES; i++) free(values[i]);
    return 0;
}
