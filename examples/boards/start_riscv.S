/* Start-up code: the stack, the trap handler, zero variables; then main, whose result ends it. */
    .section .text.start, "ax"
    .globl start
start:
    la sp, stack_top
    la t0, trap
    csrw mtvec, t0
    la t0, bss_start
    la t1, bss_end
1:  bgeu t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  call main
    call host_exit
    .balign 4
trap:
    li a0, 70
    call host_exit
