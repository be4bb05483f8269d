// Large blocks that come and go in waves, more of them than may be kept in memory: the next wave
// takes their addresses, so it maps and unmaps little, and the pages are not kept.
#include "check.h"
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 20, BLOCKS_MOST = 64 };

static void wave(int blocks, size_t bytes) {
    char *all[BLOCKS_MOST];
    for (int i = 0; i < blocks; i++) {
        all[i] = malloc(bytes);
        CHECK(all[i]);
        all[i][0] = 1;
        all[i][bytes / 2] = 1;
    }
    for (int i = 0; i < blocks; i++) free(all[i]);
}

static void waves(int blocks, size_t bytes) {
    for (int round = 0; round < ROUNDS; round++) wave(blocks, bytes);
}

/* Calls of mmap, munmap and mremap that the second series of waves makes; -1 where the system
   permits no trace. */
static long mapping_calls(int blocks, size_t bytes) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        waves(blocks, bytes);
        if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(3);
        raise(SIGSTOP);
        waves(blocks, bytes);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3) return -1;
    CHECK(WIFSTOPPED(status));
    CHECK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
    long calls = 0;
    for (;;) {
        CHECK(ptrace(PTRACE_SYSCALL, child, 0, 0) == 0);
        CHECK(waitpid(child, &status, 0) == child);
        if (WIFEXITED(status)) break;
        CHECK(WIFSTOPPED(status));
        struct __ptrace_syscall_info info;
        if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) <= 0) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return -1;
        }
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY) continue;
        long call = (long)info.entry.nr;
        calls += call == SYS_mmap || call == SYS_munmap || call == SYS_mremap;
    }
    CHECK(WEXITSTATUS(status) == 0);
    return calls;
}

static void takes_few_mappings(const char *name, int blocks, size_t bytes) {
    long calls = mapping_calls(blocks, bytes);
    if (calls < 0) {
        skipped(name, "no trace");
        return;
    }
    if (calls >= ROUNDS * blocks) fprintf(stderr, "%ld calls\n", calls);
    CHECK(calls < ROUNDS * blocks);
    passed(name);
}

int main(void) {
    takes_few_mappings("64_blocks_of_a_mebibyte_keep_their_addresses", 64, 1 << 20);
    takes_few_mappings("64_blocks_of_four_mebibytes_keep_their_addresses", 64, 4 << 20);
    takes_few_mappings("100_kilobytes_more_change_nothing", 60, (1 << 20) + 100000);

    /* Written to in full, they leave little in memory. */
    free(malloc(100));
    size_t start = resident();
    for (int round = 0; round < 8; round++) {
        char *all[BLOCKS_MOST];
        for (int i = 0; i < BLOCKS_MOST; i++) {
            all[i] = malloc(2 << 20);
            CHECK(all[i]);
            memset(all[i], 1, 2 << 20);
        }
        for (int i = 0; i < BLOCKS_MOST; i++) free(all[i]);
        CHECK(resident() < start + (34 << 20));
    }
    /* And what comes without memory reads as zero. */
    for (int i = 0; i < BLOCKS_MOST; i++) {
        char *zeroed = calloc(1, 2 << 20);
        CHECK(zeroed);
        for (int k = 0; k < 2 << 20; k++) CHECK(zeroed[k] == 0);
        free(zeroed);
    }
    passed("waves_leave_little_in_memory");
    return 0;
}
