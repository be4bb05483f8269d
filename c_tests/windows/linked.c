/* Traffic in a handle's heap and in the process-wide one, with a checker of contents; for a program
 * without C library, which MSVC's linker links with memoman.lib, and for others. */
#include <memoman.h>

#ifdef WITHOUT_C_LIBRARY
__declspec(dllimport) void __stdcall ExitProcess(unsigned status);
int _fltused;
#endif

static size_t pool[1 << 17];

static int traffic(mm_allocator_t *heap) {
    static unsigned char *live[64];
    for (unsigned k = 0; k < 64; k++) live[k] = 0;
    unsigned seed = 7, bad = 0, got = 0;
    for (unsigned i = 0; i < 100000; i++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned k = (seed >> 8) % 64, bytes = 1 + (seed >> 16) % 9000;
        if (live[k] != 0) {
            bad += live[k][0] != (unsigned char)k;
            if (heap != 0)
                mm_free(heap, live[k]);
            else
                mm_free_global(live[k]);
            live[k] = 0;
        } else {
            live[k] = heap != 0 ? mm_malloc(heap, bytes) : mm_malloc_global(bytes);
            if (live[k] == 0) continue;
            live[k][0] = live[k][bytes - 1] = (unsigned char)k;
            got++;
        }
    }
    return bad == 0 && got > 10000 && (heap != 0 ? mm_validate(heap) : mm_validate_global());
}

int main(void) {
    int sound = traffic(mm_create_with_pool(pool, sizeof pool)) && traffic(0);
    return sound ? 0 : 1;
}

#ifdef WITHOUT_C_LIBRARY
void start(void) {
    ExitProcess((unsigned)main());
}
#endif
