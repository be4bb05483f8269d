// MM_DEBUG_STACK in a program that uses the frame pointer's register for other values.
// env: MM_DEBUG_STACK=16
#include "../../preload/check.h"

/* malloc and free with a value in the register. */
static void with(uintptr_t value) {
#ifdef __x86_64__
    struct {
        uintptr_t value;
        void *(*malloc)(size_t);
        void (*free)(void *);
    } call = {value, malloc, free};
    /* Below the red zone, on an aligned stack. */
    __asm__ volatile("mov %%rsp, %%r12\n\tsub $256, %%rsp\n\tand $-16, %%rsp\n\t"
                     "mov %%rbp, (%%rsp)\n\tmov (%%rbx), %%rbp\n\t"
                     "mov $100, %%edi\n\tcall *8(%%rbx)\n\tmov %%rax, %%rdi\n\tcall *16(%%rbx)\n\t"
                     "mov (%%rsp), %%rbp\n\tmov %%r12, %%rsp"
                     :
                     : "b"(&call)
                     : "rax", "rdi", "rsi", "rdx", "rcx", "r8", "r9", "r10", "r11", "r12", "xmm0",
                       "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
#else
    (void)value;
#endif
}

int main(void) {
    uintptr_t here = (uintptr_t)&here, loop[2] = {(uintptr_t)loop, 0x123};
    const uintptr_t values[] = {
        0, 1, 8, 4096, UINTPTR_MAX, UINTPTR_MAX - 7, here, here + 8, here + 1, here + (1 << 20),
        here + (7 << 20), (uintptr_t)loop, (uintptr_t)main, (uintptr_t)opaque(malloc(64))};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) with(values[i]);
    passed("any_value_in_the_frame_pointer_is_survived");
    return 0;
}
