// Runs the tests of the C++ header: cpp_program VARIANT; or --out-of-memory: a container that does
// not fit.
#include "cpp_check.hpp"

#include <cstdlib>
#include <cstring>

int failures;
std::uint64_t seed = 20261124;

std::vector<test> &tests() {
    static std::vector<test> all;
    return all;
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    if (std::strcmp(arguments[1], "--out-of-memory") == 0) {
        memoman::heap heap(20000);
        std::vector<int, memoman::allocator<int>> too_long(100000, heap);
        return too_long.empty();
    }
    if (const char *chosen = std::getenv("MEMOMAN_SEED")) seed = std::strtoull(chosen, nullptr, 0);
    int failed = 0;
    for (const test &test : tests()) {
        failures = 0;
        item::alive = 0;
        test.run();
        EXPECT(item::alive == 0);
        std::printf("%s install cpp:%s:%s\n", failures == 0 ? "ok" : "FAIL", arguments[1],
                    test.name);
        failed += failures;
    }
    if (failed != 0)
        std::fprintf(stderr, "MEMOMAN_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return failed != 0;
}
