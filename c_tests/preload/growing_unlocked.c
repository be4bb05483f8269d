// A thread whose heap grows is inside mmap, and stays there: the others start, allocate, free, grow
// their own heaps and end meanwhile. Nothing that they need is held during the system call.
// link: -lpthread
// Not under the debug shim, whose threads share one heap (the harness leaves it out).
#include "check.h"
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static sem_t inside, goes_on;
static __thread volatile int stays;

/* The shim's calls bind to this definition before the C library's. */
void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
    if (stays && bytes >= 1 << 20) {
        stays = 0;
        sem_post(&inside);
        while (sem_wait(&goes_on) != 0) {}
    }
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}

/* Until the process-wide instance needs a region. */
static void *grow(void *unused) {
    enum { MOST = 1 << 16 };
    static void *blocks[MOST];
    int count = 0;
    for (stays = 1; stays && count < MOST; count++) CHECK((blocks[count] = malloc(2000)) != NULL);
    CHECK(!stays);
    while (count > 0) free(blocks[--count]);
    return unused;
}

static void *work(void *unused) {
    void *blocks[200];
    for (size_t i = 0; i < 200; i++) CHECK((blocks[i] = malloc(i * i * 3)) != NULL);
    for (size_t i = 0; i < 200; i++) free(blocks[i]);
    return unused;
}

int main(void) {
    alarm(60);
    pthread_t grower;
    CHECK(sem_init(&inside, 0, 0) == 0 && sem_init(&goes_on, 0, 0) == 0);
    CHECK(pthread_create(&grower, NULL, grow, NULL) == 0);
    while (sem_wait(&inside) != 0) {}
    for (int i = 0; i < 4; i++) on_other_thread(work, NULL);
    work(NULL);
    sem_post(&goes_on);
    CHECK(pthread_join(grower, NULL) == 0);
    passed("no_thread_waits_for_the_mmap_of_another");
    return 0;
}
