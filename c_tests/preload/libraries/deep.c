/* Blocks cross between this library, the C library and the program: see deepbind.c. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *deep_gives(void) { return malloc(100); }
void deep_takes(void *pointer) { free(pointer); }

int deep_frees_what_the_c_library_allocated(void) {
    char *text = NULL;
    if (asprintf(&text, "%d", 3) != 1) return 0;
    free(text);
    free(strdup("text"));
    return 1;
}

/* Found through this library's RUNPATH only. */
void *deep_loads(const char *name, int flags) { return dlopen(name, flags); }
