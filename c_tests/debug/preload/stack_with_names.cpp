// MM_DEBUG_STACK: the callers of malloc and of the operators, with the names of exported functions.
// link: -rdynamic
// env: MM_DEBUG_STACK=4
// expect-signal: SIGABRT
// expect-stderr: memoman: double free: 0x
// expect-stderr: memoman:   block of 40 bytes allocated at 0x* (*, in make), freed at 0x* (*, in drop)
// expect-stderr: memoman:     allocation called from 0x* (*, in parse)
// expect-stderr: memoman:     allocation called from 0x* (*, in main)
// expect-stderr: memoman:     free called from 0x* (*, in main)
#include <cstdio>

#define FRAME extern "C" __attribute__((noinline, optimize("no-omit-frame-pointer")))

FRAME int *make() {
    int *block = new int[10];
    __asm__ volatile("");
    return block;
}

FRAME int *parse() {
    int *block = make();
    __asm__ volatile("");
    return block;
}

FRAME void drop(int *block) {
    delete[] block;
    __asm__ volatile("");
}

__attribute__((optimize("no-omit-frame-pointer"))) int main() {
    int *volatile block = parse();
    drop(block);
    std::puts("ok H a_stack_with_names");
    std::fflush(stdout);
    drop(block);
    return 0;
}
