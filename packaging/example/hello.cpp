// A vector and a string whose memory lies in a static array.
#include <memoman.hpp>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

static std::array<std::byte, 65536> memory;

int main() {
    memoman::heap heap(memory.data(), memory.size());
    std::vector<int, memoman::allocator<int>> numbers({1, 2, 3}, heap);
    memoman::memory_resource resource(heap);
    std::pmr::string greeting("hello from C++, in memory of our own choosing", &resource);
    std::printf("%s\n", greeting.c_str());
    return numbers.size() == 3 && heap.validate() ? 0 : 1;
}
