// Shared by the C++ header's tests: EXPECT, self-registering tests, element types, a heap that is
// checked at its end.
#ifndef CPP_CHECK_HPP
#define CPP_CHECK_HPP

#include <memoman.hpp>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <vector>

extern int failures; // of the running test

#define EXPECT(...)                                                                                \
    ((__VA_ARGS__) ? void()                                                                        \
                   : void((++failures, std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
                                                    #__VA_ARGS__))))

struct test {
    const char *name;
    void (*run)();
};

std::vector<test> &tests();

struct registered {
    registered(const char *name, void (*run)()) { tests().push_back({name, run}); }
};

#define TEST(name) \
    static void name(); \
    static const registered registered_##name(#name, name); \
    static void name()

// The numbers of SplitMix64, from the seed that main prints when a test fails.
extern std::uint64_t seed;
struct numbers {
    std::uint64_t state = seed;
    std::size_t below(std::size_t bound) {
        std::uint64_t mixed = state += 0x9E3779B97F4A7C15;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return static_cast<std::size_t>((mixed ^ (mixed >> 31)) % bound);
    }
};

// An element with a copy constructor and a destructor that count, and an order and a hash.
struct item {
    static inline long alive = 0;
    int value;
    item(int number = 0) : value(number) { ++alive; }
    item(const item &other) : value(other.value) { ++alive; }
    item &operator=(const item &) = default;
    ~item() { --alive; }
    friend bool operator==(const item &one, const item &other) { return one.value == other.value; }
    friend bool operator<(const item &one, const item &other) { return one.value < other.value; }
};

// An element with a larger alignment than every block has.
struct alignas(128) wide {
    int value;
    wide(int number = 0) : value(number) {}
    bool aligned() const { return reinterpret_cast<std::uintptr_t>(this) % alignof(wide) == 0; }
    friend bool operator==(const wide &one, const wide &other) {
        return one.value == other.value && one.aligned() && other.aligned();
    }
    friend bool operator<(const wide &one, const wide &other) { return one.value < other.value; }
};

template <>
struct std::hash<item> {
    std::size_t operator()(const item &key) const noexcept {
        return static_cast<std::size_t>(key.value % 7);
    }
};

template <>
struct std::hash<wide> {
    std::size_t operator()(const wide &key) const noexcept {
        return static_cast<std::size_t>(key.value % 7);
    }
};

// A heap of its own buffer; at the end it must be sound and have no block in use.
struct checked_heap : memoman::heap {
    explicit checked_heap(std::size_t bytes = 512 * 1024) : memoman::heap(bytes) {}
    checked_heap(std::size_t bytes, memoman::max_block limit) : memoman::heap(bytes, limit) {}
    ~checked_heap() { EXPECT(validate() && stats().live_blocks == 0); }
};

// Whether an object's address is in a block of the heap.
inline bool is_in(const memoman::heap &heap, const void *address) {
    return mm_get_pool_for_ptr(heap.handle(), address) != nullptr;
}

#endif
