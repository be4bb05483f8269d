/* ARM semihosting: a debugger or an emulator prints and ends the program for the firmware. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

/* Prints a string. */
void host_print(const char *text);

/* Prints an unsigned number in decimal. */
void host_print_number(unsigned long number);

/* Opens a new file on the host; its handle, or -1. */
int host_create(const char *name);

/* Appends to a file that host_create has opened. */
void host_write(int file, const void *data, unsigned long bytes);

/* Ends the program; an emulator exits with this status. */
_Noreturn void host_exit(int status);

#endif
