/*
 * Start-up code: the vector table, the reset handler and the fault handler. There is no C library;
 * the memcpy and memset that compilers call are weak functions of libmemoman.a.
 */
#include "semihosting.h"
#include <stdint.h>

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];

int main(void);

void reset(void) {
#ifdef __ARM_FP
    /* The floating-point unit is on before code that was compiled for it runs: register CPACR. */
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm__ volatile("dsb\nisb");
#endif
    const uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end; to++, from++) *to = *from;
    for (uint32_t *to = bss_start; to < bss_end; to++) *to = 0;
    host_exit(main());
}

/* Every fault ends here, memoman's own trap included, which is an undefined instruction. */
static void fault(void) {
    host_print("fault\n");
    host_exit(70);
}

/* An operating system has its own. */
void SVC_Handler(void) __attribute__((weak, alias("fault")));
void PendSV_Handler(void) __attribute__((weak, alias("fault")));
void SysTick_Handler(void) __attribute__((weak, alias("fault")));

struct vectors {
    uint32_t *stack;
    void (*handlers[15])(void);
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    stack_top,
    {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, SVC_Handler, fault, 0, PendSV_Handler,
     SysTick_Handler},
};
