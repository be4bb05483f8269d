/* Loaded by deep.c, by name. */
#include <stdlib.h>

void *inner_gives(void) { return malloc(100); }
