/* Stub of NuttX's nuttx/irq.h: see config.h. */
#ifndef __INCLUDE_NUTTX_IRQ_H
#define __INCLUDE_NUTTX_IRQ_H

typedef unsigned long irqstate_t;

irqstate_t enter_critical_section(void);
void leave_critical_section(irqstate_t flags);

#endif
