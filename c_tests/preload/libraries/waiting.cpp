// Its constructor starts a thread, of the kind that KIND names, and waits for its end: see
// loading_waits.cpp.
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <new>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <threads.h>
#include <time.h>

static sem_t ended;

static void allocate() {
    void *volatile block = malloc(1000);
    free(block);
}

static int c11(void *) {
    allocate();
    return 0;
}

static void *posix(void *) {
    allocate();
    return nullptr;
}

static void *with_operators(void *) {
    int *volatile numbers = new (std::nothrow) int[100];
    delete[] numbers;
    return nullptr;
}

static void notified(sigval) {
    allocate();
    sem_post(&ended);
}

static void join(int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *),
                 void *(*body)(void *)) {
    pthread_t thread;
    if (create(&thread, nullptr, body, nullptr) != 0 || pthread_join(thread, nullptr) != 0)
        abort();
}

__attribute__((constructor)) static void wait_for_a_thread() {
    const char *kind = getenv("KIND");
    if (strcmp(kind, "thrd_create") == 0) {
        thrd_t thread;
        if (thrd_create(&thread, c11, nullptr) != thrd_success) abort();
        thrd_join(thread, nullptr);
    } else if (strcmp(kind, "unannounced") == 0) {
        // The C library's function, as for a thread that the C library starts by itself.
        void *library = dlopen("libc.so.6", RTLD_NOW);
        void *create = library ? dlsym(library, "pthread_create") : nullptr;
        if (create == nullptr) abort();
        join(reinterpret_cast<decltype(&pthread_create)>(create), posix);
    } else if (strcmp(kind, "operators") == 0) {
        join(pthread_create, with_operators);
    } else {
        sigevent event = {};
        event.sigev_notify = SIGEV_THREAD;
        event.sigev_notify_function = notified;
        timer_t timer;
        itimerspec soon = {{0, 0}, {0, 1000000}};
        sem_init(&ended, 0, 0);
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) abort();
        if (timer_settime(timer, 0, &soon, nullptr) != 0) abort();
        sem_wait(&ended);
    }
}
