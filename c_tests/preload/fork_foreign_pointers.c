// While a thread forks, another one passes pointers that are none of a live block's to
// malloc_usable_size, realloc and free: each gets its line, and none is followed.
#include "check.h"
#include <malloc.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static sem_t forking, done;
static int armed;
static char *pointer;
static int call;

/* Runs after memoman's handler: the other thread acts while this one forks. */
static void prepare(void) {
    if (!armed) return;
    armed = 0;
    sem_post(&forking);
    while (sem_wait(&done) != 0) {}
}

/* Before every constructor, of libraries too. */
static void first(int count, char **arguments, char **environment) {
    (void)count, (void)arguments, (void)environment;
    if (pthread_atfork(prepare, NULL, NULL) != 0) _exit(3);
}

__attribute__((section(".preinit_array"), used)) static void (*const at_start)(int, char **,
                                                                              char **) = first;

static char *own;

static void *misuse(void *unused) {
    own = malloc(1000);
    memset(own, 1, 1000);
    sem_post(&done);
    while (sem_wait(&forking) != 0) {}
    if (call == 0) malloc_usable_size(opaque(pointer != NULL ? pointer : own + 64));
    else if (call == 1) (void)!realloc(opaque(pointer != NULL ? pointer : own + 64), 5000);
    else free(opaque(pointer != NULL ? pointer : own + 64));
    /* A pointer that `free` has put aside is reported by the thread that forks. */
    if (call == 2) {
        sem_post(&done);
        pause();
    }
    _exit(9);
    return unused;
}

/* A process in which another thread misuses `where`, while one forks; null for the inside of a
 * block of the other thread's heap. Gives its output and its end. */
static int end_of(char *where, int which, char *output, size_t room) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        pthread_t thread;
        alarm(20);
        dup2(ends[1], 2);
        close(ends[0]), close(ends[1]);
        pointer = where, call = which;
        if (pthread_create(&thread, NULL, misuse, NULL) != 0) _exit(4);
        while (sem_wait(&done) != 0) {}
        armed = 1;
        pid_t grandchild = fork();
        if (grandchild == 0) _exit(0);
        pause();
    }
    close(ends[1]);
    size_t had = 0;
    ssize_t more;
    while (had + 1 < room && (more = read(ends[0], output + had, room - 1 - had)) > 0)
        had += (size_t)more;
    output[had] = 0;
    close(ends[0]);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

int main(void) {
    static char in_bss[64];
    char on_stack[64] = {0};
    CHECK(sem_init(&forking, 0, 0) == 0 && sem_init(&done, 0, 0) == 0);
    char *pages = mmap(NULL, 3 << 14, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && mprotect(pages + (1 << 14), 1 << 14, PROT_READ) == 0);
    struct {
        const char *name;
        char *where;
    } kinds[] = {
        {"stack", on_stack + 16}, {"static", in_bss + 16}, {"page", pages + (1 << 14)},
        {"no_access", pages + 64}, {"wild", (char *)(uintptr_t)0x12345678abc0},
        {"low", (char *)16}, {"inside", NULL},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (int which = 0; which < 3; which++) {
            char output[1000];
            int status = end_of(kinds[i].where, which, output, sizeof output);
            if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
                strstr(output, "memoman: ") == NULL)
                printf("%s, call %d: status %#x: %s\n", kinds[i].name, which, (unsigned)status,
                       output);
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
            CHECK(strstr(output, kinds[i].where == NULL ? "memoman: "
                                                        : "memoman: pointer outside every pool"));
        }
    }
    passed("foreign_pointers_are_reported_while_a_thread_forks");
    return 0;
}
