// A string's final zero written past the end of the block.
// expect-signal: SIGABRT
// expect-stderr: memoman: header of the next block overwritten: POINTER
// debug-stderr: memoman: write past the end of the block (overflow): POINTER
#include "check.h"

int main(void) {
    char *p = malloc(40), *next = malloc(40);
    strcpy(opaque(p), "a string of forty characters, all in all");
    misused(p);
    free(p);
    free(next);
    return 0;
}
