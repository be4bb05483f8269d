/* A library that allocates, several frames deep; PAD moves the code. */
#include <stdlib.h>
#ifndef PAD
#define PAD 1
#endif
__attribute__((noinline)) static void *deep(size_t size, int depth)
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
void *plugin(size_t size) { return deep(size, PAD * 3); }
