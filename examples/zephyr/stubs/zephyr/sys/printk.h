/* Stub of Zephyr's sys/printk.h: see kernel.h. */
#ifndef ZEPHYR_INCLUDE_SYS_PRINTK_H_
#define ZEPHYR_INCLUDE_SYS_PRINTK_H_

void printk(const char *format, ...);

#endif
