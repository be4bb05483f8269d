// A library registers its fork handlers before memoman does, so its prepare handler runs after
// memoman's. It takes a mutex that another thread holds while it allocates: the fork waits for that
// thread, and that thread must not wait for the fork.
// Not under the debug shim: its threads wait for a fork (the harness leaves it out).
#include "check.h"
#include <malloc.h>
#include <sys/wait.h>

enum { FORKS = 400 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int stop;

static void prepare(void) { pthread_mutex_lock(&mutex); }

static void after(void) { pthread_mutex_unlock(&mutex); }

/* Before every constructor, of libraries too. */
static void first(int count, char **arguments, char **environment) {
    (void)count, (void)arguments, (void)environment;
    if (pthread_atfork(prepare, after, after) != 0) _exit(3);
}

__attribute__((section(".preinit_array"), used)) static void (*const at_start)(int, char **,
                                                                              char **) = first;

static void *allocate(void *unused) {
    uint64_t state = 7;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        char *blocks[8];
        pthread_mutex_lock(&mutex);
        for (int i = 0; i < 8; i++) {
            size_t bytes = 100 + random_next(&state) % (i == 0 ? 300000 : 3000);
            blocks[i] = i % 4 == 3 ? aligned_alloc(4096, 8192) : malloc(bytes);
            CHECK(blocks[i] != NULL);
            blocks[i][0] = (char)i;
            CHECK(malloc_usable_size(blocks[i]) >= (i % 4 == 3 ? 8192 : bytes));
        }
        for (int i = 0; i < 8; i += 2) {
            blocks[i] = realloc(blocks[i], 10 + random_next(&state) % 60000);
            CHECK(blocks[i] != NULL && blocks[i][0] == (char)i);
        }
        for (int i = 0; i < 8; i++) free(blocks[i]);
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

/* A thread that starts, and ends, while another one forks. */
static void *short_lived(void *unused) {
    pthread_mutex_lock(&mutex);
    free(malloc(500));
    pthread_mutex_unlock(&mutex);
    return unused;
}

static void *come_and_go(void *unused) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, short_lived, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    return unused;
}

int main(void) {
    alarm(150);
    pthread_t threads[3];
    CHECK(pthread_create(&threads[0], NULL, allocate, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, allocate, NULL) == 0);
    CHECK(pthread_create(&threads[2], NULL, come_and_go, NULL) == 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(20);
            for (size_t bytes = 10; bytes < 300000; bytes *= 3) free(malloc(bytes));
            on_other_thread(short_lived, NULL);
            _exit(0);
        }
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    passed("a_fork_waits_for_no_thread_that_allocates");
    return 0;
}
