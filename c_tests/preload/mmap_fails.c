// mmap fails from the n-th call on, for every n up to 200: NULL and ENOMEM, nothing lost, and
// requests are served again once there is memory.
// link: -lpthread
#include "check.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static long calls, fails_from = -1;

/* The shim's calls bind to this definition before the C library's. */
void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
    if (fails_from >= 0 && __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) >= fails_from) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}

static size_t sizes[] = {24, 300, 5000, 40000, 300000, 3 << 20};

/* Allocates until memory runs out, up to a bound; checks and frees all of it. Gives the number of
 * blocks. */
static size_t fill_and_empty(void) {
    enum { MOST = 300 };
    static unsigned char *blocks[MOST];
    static size_t had[MOST];
    size_t count = 0, refused = 0;
    while (count < MOST && refused < 6) {
        size_t bytes = sizes[(count + refused) % 6];
        errno = 0;
        unsigned char *p = malloc(bytes);
        if (p == NULL) {
            CHECK(errno == ENOMEM);
            refused++;
            continue;
        }
        p[0] = p[bytes - 1] = (unsigned char)count;
        blocks[count] = p;
        had[count++] = bytes;
        if (count % 7 == 0) {
            /* A failed realloc leaves the block unchanged. */
            unsigned char *grown = realloc(p, bytes * 2);
            if (grown) blocks[count - 1] = grown, had[count - 1] = bytes;
            else CHECK(errno == ENOMEM && p[0] == (unsigned char)(count - 1));
        }
    }
    for (size_t i = 0; i < count; i++) {
        CHECK(blocks[i][0] == (unsigned char)i && blocks[i][had[i] - 1] == (unsigned char)i);
        free(blocks[i]);
    }
    return count;
}

static void *in_thread(void *unused) {
    (void)unused;
    fill_and_empty();
    return NULL;
}

static int round_with(long n) {
    pthread_t thread;
    alarm(60);
    /* The heap is made first, since a thread's stack comes from mmap too. */
    free(malloc(1));
    size_t live = IN_USE();
    calls = 0;
    fails_from = n;
    fill_and_empty();
    int made = pthread_create(&thread, NULL, in_thread, NULL) == 0;
    if (made) pthread_join(thread, NULL);
    CHECK(fill_and_empty() > 0 || n < 3);
    /* The n-th call is reached. */
    for (int more = 0; calls < n && more < 50; more++) fill_and_empty();
    CHECK(calls >= n);
    fails_from = -1;
    CHECK(fill_and_empty() == 300);
    CHECK(IN_USE() <= live + 4096);
    return 0;
}

int main(void) {
    alarm(200);
    for (long n = 1; n <= 200; n++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) _exit(round_with(n));
        int status = -1;
        CHECK(waitpid(pid, &status, 0) == pid);
        if (status != 0) printf("n = %ld\n", n);
        CHECK(status == 0);
    }
    passed("mmap_fails_from_the_nth_call_on");
    return 0;
}
