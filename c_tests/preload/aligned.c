// The aligned family: refusals and their errno, rounded alignments and sizes.
#include "check.h"
#include <malloc.h>

int main(void) {
    size_t bad[] = {0, 1, 2, 3, 4, 5, 7, 12, 24, 100, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *out = (void *)0x1234;
        errno = 77;
        CHECK(posix_memalign(&out, bad[i], 64) == EINVAL && out == (void *)0x1234 && errno == 77);
    }
    passed("posix_memalign_einval_leaves_out_and_errno");

    void *out = (void *)0x1234;
    errno = 77;
    CHECK(posix_memalign(&out, 64, SIZE_MAX - 100) == ENOMEM && out == (void *)0x1234 &&
          errno == ENOMEM);
    CHECK(posix_memalign(&out, (size_t)1 << 63, 64) == ENOMEM && out == (void *)0x1234);
    CHECK(posix_memalign(&out, 64, 0) == 0 && out != NULL);
    free(out);
    passed("posix_memalign_enomem_and_zero");

    for (size_t align = 8; align <= (size_t)16 << 20; align *= 2) {
        size_t sizes[] = {1, 24, 1000, align - 1, align, align + 1};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            void *p = NULL;
            CHECK(posix_memalign(&p, align, sizes[i]) == 0 && ((uintptr_t)p & (align - 1)) == 0);
            memset(p, 1, malloc_usable_size(p));
            char *q = aligned_alloc(align, sizes[i]), *r = memalign(align, sizes[i]);
            CHECK(q && r && (((uintptr_t)q | (uintptr_t)r) & (align - 1)) == 0);
            memset(q, 2, sizes[i]);
            r[0] = 3;
            q = realloc(q, sizes[i] + 5000);
            CHECK(q && q[0] == 2 && q[sizes[i] - 1] == 2);
            free(p), free(q), free(r);
        }
    }
    passed("alignments_up_to_16_mib");

    errno = 0;
    CHECK(aligned_alloc(opaque(NULL) == NULL ? 24 : 0, 100) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(aligned_alloc((size_t)opaque(NULL), 100) == NULL && errno == EINVAL);
    void *p = memalign(24, 100);
    CHECK(p && ((uintptr_t)p & 31) == 0);
    free(p);
    for (size_t k = 0; k < 64; k++) {
        errno = 0;
        CHECK(memalign(64, SIZE_MAX - k) == NULL && errno == ENOMEM);
    }
    passed("aligned_alloc_refuses_and_memalign_rounds");

    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *v = valloc(100), *w = pvalloc(100), *z = pvalloc(0);
    CHECK(v && w && z && (((uintptr_t)v | (uintptr_t)w | (uintptr_t)z) & (page - 1)) == 0);
    memset(w, 1, page);
    memset(z, 1, page);
    free(v), free(w), free(z);
    for (size_t k = 0; k < page; k += 97) {
        errno = 0;
        CHECK(pvalloc(SIZE_MAX - k) == NULL && errno == ENOMEM);
    }
    passed("valloc_and_pvalloc_give_whole_pages");
    return 0;
}
