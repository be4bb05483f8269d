/* What the tests of `memoman record` run: work NAME [ARGUMENT]. Sizes tell the calls apart. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void *keep[100000];

static void allocate(int count, size_t size)
{
    for (int i = 0; i < count; i++) {
        keep[i] = malloc(size);
        *(volatile char *)keep[i] = 1;
    }
}

static void release(int count)
{
    for (int i = 0; i < count; i++) free(keep[i]);
}

static void *pairs(void *size)
{
    for (int i = 0; i < 10000; i++) {
        void *volatile block = malloc((size_t)size);
        free(block);
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, pairs, (void *)(1001 + i));
    for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

static void *few(void *size)
{
    for (int i = 0; i < 10; i++) {
        void *volatile block = malloc((size_t)size);
        free(block);
    }
    return NULL;
}

static void run_short(void)
{
    for (int i = 0; i < 200; i++) {
        pthread_t threads[8];
        for (size_t k = 0; k < 8; k++) pthread_create(&threads[k], NULL, few, (void *)1002);
        for (size_t k = 0; k < 8; k++) pthread_join(threads[k], NULL);
    }
}

static void run_kinds(void)
{
    void *volatile p = malloc(1003);
    p = realloc(p, 2003);
    p = realloc(p, 900003);
    p = reallocarray(p, 3, 1001);
    if (realloc(p, SIZE_MAX / 2)) abort();
    p = realloc(p, 0);
    p = realloc(NULL, 1005);
    free(p);
    free(NULL);
    p = calloc(3, 335);
    free(p);
    if (reallocarray(NULL, SIZE_MAX / 2, 3) || errno != ENOMEM) abort();
    p = malloc(SIZE_MAX / 2);
    if (p) abort();
    p = memalign(64, 1007);
    free(p);
    p = aligned_alloc(128, 1024 + 256);
    free(p);
    void *q;
    if (posix_memalign(&q, 4096, 1009)) abort();
    free(q);
    if (posix_memalign(&q, 3, 1010) != EINVAL) abort();
    p = valloc(1011);
    free(p);
}

static volatile int stop;
static void *traffic(void *unused)
{
    (void)unused;
    while (!stop) {
        void *volatile block = malloc(77);
        free(block);
    }
    return NULL;
}

/* The parent's 5 blocks are freed in the child, which allocates 7; the raw fork runs no handler. */
static void run_fork(int raw)
{
    pthread_t thread;
    pthread_create(&thread, NULL, traffic, NULL);
    allocate(5, 1003);
    pid_t child = raw ? (pid_t)syscall(SYS_fork) : fork();
    if (child == 0) {
        release(5);
        allocate(7, 1004);
        _exit(0);
    }
    for (int i = 0; i < 20000; i++) {
        void *volatile block = malloc(1006);
        free(block);
    }
    int status;
    waitpid(child, &status, 0);
    void *volatile after = malloc(1028);
    free(after);
    stop = 1;
    pthread_join(thread, NULL);
    exit(status ? 1 : 0);
}

static void handler(int signal)
{
    (void)signal;
    void *volatile block = malloc(1005);
    free(block);
}

static volatile int signals;
static void counting(int signal)
{
    signals++;
    handler(signal);
}

/* The allocator behind this one is safe in handlers: it only counts up. */
static void run_handlers(void)
{
    struct sigaction action = {.sa_handler = counting};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 100}, {0, 100}};
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 300000; i++) {
        void *volatile block = malloc(1006);
        free(block);
    }
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    printf("%d\n", signals);
}

__attribute__((noinline)) static void *inner(size_t size)
{
    void *volatile block = malloc(size);
    return block;
}
__attribute__((noinline)) static void *middle(size_t size)
{
    void *volatile block = inner(size);
    return block;
}
__attribute__((noinline)) static void *outer(size_t size)
{
    void *volatile block = middle(size);
    return block;
}

static void run_stacks(void)
{
    for (int i = 0; i < 100; i++) {
        void *volatile block = outer(1012);
        free(block);
        block = middle(1013);
        free(block);
    }
}

/* A thread holds the dynamic linker's lock at the fork: it stays locked in the child. */
static volatile int held;
static int hold(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)info, (void)size, (void)unused;
    held = 1;
    while (!stop) usleep(1000);
    return 1;
}
static void *hold_lock(void *unused)
{
    dl_iterate_phdr(hold, unused);
    return NULL;
}

static void run_locked(int raw)
{
    free(outer(1023));
    pthread_t thread;
    pthread_create(&thread, NULL, hold_lock, NULL);
    while (!held) usleep(1000);
    pid_t child = raw ? (pid_t)syscall(SYS_fork) : fork();
    if (child == 0) {
        void *volatile block = outer(1024);
        free(block);
        if (posix_memalign((void **)&block, 64, 1025)) abort();
        _exit(0);
    }
    int status = 1;
    for (int i = 0; i < 1000 && waitpid(child, &status, WNOHANG) == 0; i++) usleep(20000);
    kill(child, SIGKILL);
    stop = 1;
    pthread_join(thread, NULL);
    exit(status ? 1 : 0);
}

/* A handler leaves what it has interrupted. The allocator behind this one is safe against that. */
static sigjmp_buf place;
static void leave(int signal)
{
    (void)signal;
    signals++;
    siglongjmp(place, 1);
}

static void run_jumps(void)
{
    struct sigaction action = {.sa_handler = leave};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 200}, {0, 200}};
    setitimer(ITIMER_REAL, &often, NULL);
    sigsetjmp(place, 1);
    while (signals < 500) {
        void *volatile block = malloc(1026);
        free(block);
    }
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    for (int i = 0; i < 1000; i++) {
        void *volatile block = malloc(1027);
        free(block);
    }
}

/* Libraries come and go at the same address, and allocate while they are there. Status 3 where the
 * dynamic linker does not put them there. */
static void run_dlclose(const char *folder, const char *name, size_t size)
{
    for (int i = 0; i < 60; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s%d.so", folder, name, i % 2);
        void *library = dlopen(path, RTLD_NOW);
        if (!library) abort();
        void *(*call)(size_t) = (void *(*)(size_t))dlsym(library, "plugin");
        static void *(*first)(size_t);
        if (first && first != call && !strcmp(name, "frame")) exit(3);
        first = call;
        for (int k = 0; k < 20; k++) free(call(size));
        dlclose(library);
    }
}

/* Descriptors are closed, and their numbers used for a file of the program's own. */
static void run_descriptors(const char *path)
{
    allocate(10, 1015);
    for (int fd = 3; fd < 1024; fd++) close(fd);
    int own = open(path, O_RDWR | O_CREAT, 0644);
    if (own < 0) abort();
    for (int fd = 3; fd < 1024; fd++)
        if (fd != own) dup2(own, fd);
    for (int i = 0; i < 20; i++) {
        allocate(50000, 1016);
        release(50000);
    }
    struct stat about;
    fstat(own, &about);
    if (about.st_size != 0) abort();
}

/* A thread that was cancelled allocates up to its own cancellation point. */
static volatile int cancelled, reached;
static void *up_to_the_point(void *unused)
{
    while (!cancelled) continue;
    for (int i = 0; i < 50000; i++) {
        void *volatile block = malloc(1031);
        free(block);
    }
    reached = 1;
    pthread_testcancel();
    return unused;
}

static int run_cancel(void)
{
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, up_to_the_point, NULL);
    pthread_cancel(thread);
    cancelled = 1;
    pthread_join(thread, &result);
    return !reached || result != PTHREAD_CANCELED;
}

static void run_sample(void)
{
    for (int i = 0; i < 1000000; i++) {
        void *volatile block = malloc(64);
        free(block);
    }
    for (int i = 0; i < 100; i++) {
        void *volatile block = malloc(1 << 20);
        block = realloc(block, 2 << 20);
        free(block);
    }
}

int main(int count, char **arguments)
{
    const char *name = count > 1 ? arguments[1] : "";
    const char *more = count > 2 ? arguments[2] : "";
    if (!strcmp(name, "threads")) run_threads();
    if (!strcmp(name, "short")) run_short();
    if (!strcmp(name, "kinds")) run_kinds();
    if (!strcmp(name, "fork")) run_fork(0);
    if (!strcmp(name, "rawfork")) run_fork(1);
    if (!strcmp(name, "handlers")) run_handlers();
    if (!strcmp(name, "stacks")) run_stacks();
    if (!strcmp(name, "locked")) run_locked(!strcmp(more, "raw"));
    if (!strcmp(name, "jumps")) run_jumps();
    if (!strcmp(name, "dlclose")) run_dlclose(more, "plugin", 1014);
    if (!strcmp(name, "frames")) run_dlclose(more, "frame", 1030);
    if (!strcmp(name, "cancel")) return run_cancel();
    if (!strcmp(name, "descriptors")) run_descriptors(more);
    if (!strcmp(name, "sample")) run_sample();
    if (!strcmp(name, "many")) {
        allocate(50001, 1017);
        release(33333);
        if (!strcmp(more, "kill")) raise(SIGKILL);
        if (!strcmp(more, "exit")) _exit(0);
        if (!strcmp(more, "exec")) execl("/proc/self/exe", "work", "many", "after", (char *)NULL);
        if (!strcmp(more, "after")) allocate(4, 1018);
        if (!strcmp(more, "goeson")) {
            for (int i = 0; i < 10; i++) pairs((void *)1019);
            puts("went on");
        }
    }
    if (!strcmp(name, "system")) {
        for (int i = 0; i < 20; i++)
            if (system("true")) return 1;
        allocate(3, 1020);
    }
    return 0;
}
