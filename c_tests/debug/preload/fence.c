// Behind the region that a block lies in is memory without access.
#include "../../preload/check.h"

int main(void) {
    char *block = malloc(100), line[512], access[5];
    unsigned long start, end, behind = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps)) {
        CHECK(sscanf(line, "%lx-%lx %4s", &start, &end, access) == 3);
        if (behind != 0) {
            CHECK(start == behind && memcmp(access, "---", 3) == 0);
            passed("memory_behind_a_region_faults");
            return 0;
        }
        behind = start <= (unsigned long)block && (unsigned long)block < end ? end : 0;
    }
    return 1;
}
