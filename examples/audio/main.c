/*
 * An audio callback that allocates: voices begin and end, each with a block of its own, in a thread
 * that must never wait. It shows that once memory is locked, a callback makes no system call and
 * takes no page fault.
 *
 * The kernel is the proof: a seccomp filter kills the process at any system call except two, which
 * the thread needs around the callbacks, and page faults and context switches are its counts.
 *
 *     audio               the proof
 *     audio cheat-call    the callback makes a system call: the process must die by SIGSYS
 *     audio cheat-fault   the callback touches memory that is not locked: faults must be counted
 */
#define _GNU_SOURCE
#include "../support/example.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <memoman.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CALLBACKS = 20000, FRAMES = 64, VOICES = 48 };

static _Alignas(64) unsigned char memory[1024 * 1024];
static volatile unsigned char untouched[64 * 4096];
static mm_allocator_t *heap;
static enum { HONEST, CHEAT_CALL, CHEAT_FAULT } cheat;

struct voice {
    float phase, step;
    int left;
    float delay[]; /* its length varies */
};

static struct voice *voices[VOICES];
static uint32_t random_state = 1;
static uint32_t below(uint32_t bound) {
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % bound;
}

static unsigned long begun, ended, refused;

static void callback(float *out, int number) {
    for (int i = 0; i < FRAMES; i++) out[i] = 0;
    for (int v = 0; v < VOICES; v++) {
        struct voice *voice = voices[v];
        if (voice == NULL) {
            int frames = 64 + (int)below(4000);
            voice = mm_malloc(heap, sizeof *voice + (size_t)frames * sizeof(float));
            if (voice == NULL) {
                refused++;
                continue;
            }
            voice->phase = 0;
            voice->step = 0.01f * (float)(1 + v);
            voice->left = 1 + (int)below(20);
            for (int i = 0; i < frames; i++) voice->delay[i] = 0;
            voices[v] = voice;
            begun++;
        }
        for (int i = 0; i < FRAMES; i++) {
            voice->delay[i] = 0.5f * voice->delay[i] + voice->phase;
            voice->phase += voice->step;
            if (voice->phase > 1) voice->phase -= 2;
            out[i] += voice->delay[i] / VOICES;
        }
        if (--voice->left == 0) {
            mm_free(heap, voice);
            voices[v] = NULL;
            ended++;
        }
    }
    if (cheat == CHEAT_CALL && number == CALLBACKS / 2) sched_yield();
    if (cheat == CHEAT_FAULT && number >= 0 && number < 64) untouched[(size_t)number * 4096] = 1;
}

/* From here on only getrusage and exit are allowed; any other system call kills the process. */
static int forbid_system_calls(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrusage, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof program / sizeof *program, program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static struct rusage before, after;
static int filtered;

static void *audio_thread(void *unused) {
    float out[FRAMES];
    (void)unused;
    /* Brings code and stack into memory before the count. */
    for (int i = 0; i < 100; i++) callback(out, -1);
    getrusage(RUSAGE_THREAD, &before);
    filtered = forbid_system_calls();
    if (!filtered) return NULL;
    getrusage(RUSAGE_THREAD, &before);
    for (int i = 0; i < CALLBACKS; i++) callback(out, i);
    getrusage(RUSAGE_THREAD, &after);
    /* The C library's clean-up would make forbidden calls. */
    syscall(SYS_exit, 0);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc > 1) cheat = strcmp(argv[1], "cheat-call") == 0 ? CHEAT_CALL : CHEAT_FAULT;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%d callbacks of %d frames, %d voices that begin and end\n", CALLBACKS, FRAMES, VOICES);
    heap = mm_create_with_pool(memory, sizeof memory);
    REQUIRE(heap != NULL);
    /* Keeps code and stack in memory. Where that is not allowed, the run is short enough
     * without. */
    (void)mlockall(MCL_CURRENT | MCL_ONFAULT);
    if (mlock(memory, sizeof memory) != 0) {
        perror("audio: memory cannot be locked (raise `ulimit -l`)");
        return 1;
    }
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, audio_thread, NULL) == 0);
    REQUIRE(pthread_join(thread, NULL) == 0);
    if (!filtered) {
        perror("audio: this kernel has no seccomp filters to prove the absence of system calls");
        return 1;
    }
    REQUIRE(begun > CALLBACKS && ended > CALLBACKS && refused == 0);
    proved("%lu mm_malloc and %lu mm_free in the callbacks, and no system call (the filter kills)",
           begun, ended);
    long faults = after.ru_minflt - before.ru_minflt + after.ru_majflt - before.ru_majflt;
    printf("          page faults: %ld; voluntary context switches: %ld\n", faults,
           after.ru_nvcsw - before.ru_nvcsw);
    REQUIRE(faults == 0);
    REQUIRE(after.ru_nvcsw == before.ru_nvcsw);
    proved("no page fault, no waiting");
    REQUIRE(mm_validate(heap));
    return 0;
}
