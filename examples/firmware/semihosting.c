/* The calls of "Semihosting for AArch32 and AArch64", Arm 2.0, as a Cortex-M makes them, bkpt 0xab,
 * and those of "RISC-V Semihosting" 0.3: an ebreak between two shifts, in one page. */
#include "semihosting.h"
#include <stdint.h>

enum { SYS_OPEN = 0x01, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_EXIT_EXTENDED = 0x20 };

static uint32_t host(uint32_t operation, const void *argument) {
#ifdef __riscv
    register uint32_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".balign 16\n.option push\n.option norvc\n"
                     "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
#else
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
#endif
}

void host_print(const char *text) { host(SYS_WRITE0, text); }

void host_print_number(unsigned long number) {
    char digits[11];
    char *first = digits + sizeof digits - 1;
    *first = '\0';
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    host_print(first);
}

int host_create(const char *name) {
    uint32_t length = 0;
    while (name[length] != '\0') length++;
    /* Mode 5 is "wb". */
    const uint32_t arguments[3] = {(uint32_t)(uintptr_t)name, 5, length};
    return (int)host(SYS_OPEN, arguments);
}

void host_write(int file, const void *data, unsigned long bytes) {
    const uint32_t arguments[3] = {(uint32_t)file, (uint32_t)(uintptr_t)data, (uint32_t)bytes};
    host(SYS_WRITE, arguments);
}

_Noreturn void host_exit(int status) {
    /* ADP_Stopped_ApplicationExit, and the status. */
    const uint32_t reason[2] = {0x20026, (uint32_t)status};
    host(SYS_EXIT_EXTENDED, reason);
    for (;;) {}
}
