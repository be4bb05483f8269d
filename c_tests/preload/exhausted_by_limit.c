// RLIMIT_AS: NULL and ENOMEM, and the heap works again after frees.
#include "check.h"
#include <sys/resource.h>

int main(void) {
    struct rlimit limit = {600u << 20, 600u << 20};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    char *large = malloc(50 << 20);
    CHECK(large);
    memset(large, 1, 50 << 20);
    free(large);
    passed("50_mib_within_600_mib");

    for (int round = 0; round < 3; round++) {
        size_t sizes[] = {24, 1000, 100000, 10 << 20};
        for (int s = 0; s < 4; s++) {
            void **list = NULL, **block;
            size_t count = 0;
            errno = 0;
            while ((block = malloc(sizes[s])) != NULL) {
                CHECK(errno == 0);
                *block = list;
                list = block;
                count++;
            }
            CHECK(errno == ENOMEM && count * sizes[s] > (size_t)200 << 20);
            while (list) {
                block = *list;
                free(list);
                list = block;
            }
        }
        large = malloc(400 << 20);
        CHECK(large);
        free(large);
    }
    passed("enomem_at_the_limit_and_recovery");
    return 0;
}
