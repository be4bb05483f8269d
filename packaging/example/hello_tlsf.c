/* A program for tlsf.h 3.1. */
#include "tlsf.h"
#include <stdio.h>
#include <string.h>

static double memory[8192];

int main(void) {
    tlsf_t tlsf = tlsf_create_with_pool(memory, sizeof memory);
    char *greeting = tlsf_malloc(tlsf, 32);
    if (greeting == NULL) return 1;
    strcpy(greeting, "hello from tlsf.h");
    puts(greeting);
    tlsf_free(tlsf, greeting);
    return tlsf_check(tlsf);
}
