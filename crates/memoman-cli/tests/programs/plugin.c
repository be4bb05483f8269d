/* A library that allocates, several frames deep; PAD moves the code. */
#include <stdlib.h>
#ifndef PAD
#define PAD 1
#endif
__attribute__((noinline, unused)) static void *deep(size_t size, int depth)
{
    char room[16 * PAD * (1 + depth % 2)];
    room[0] = (char)depth;
    __asm__ volatile("" : : "r"(room) : "memory");
    void *volatile block = depth ? deep(size, depth - 1) : malloc(size);
    return block;
}
#ifdef MAIN
int main(void) { return !deep(1, 1); }
#endif
#ifdef FRAME
/* With another FRAME, the same code at the same address has another frame; zeros in it, where the
 * other's rule looks for a return address. */
void *plugin(size_t size)
{
    char room[FRAME] = {0};
    __asm__ volatile("" : : "r"(room) : "memory");
    void *volatile block = malloc(size);
    return block;
}
#else
void *plugin(size_t size) { return deep(size, PAD * 3); }
#endif
