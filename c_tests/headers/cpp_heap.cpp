// memoman::heap: ownership and lifetime of its memory; the C functions as members; too little
// memory.
#include "cpp_check.hpp"

#include <array>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

using memoman::heap;

static_assert(std::is_nothrow_move_constructible_v<heap> &&
              std::is_nothrow_move_assignable_v<heap>);
static_assert(!std::is_copy_constructible_v<heap> && !std::is_copy_assignable_v<heap>);
static_assert(std::is_nothrow_swappable_v<heap> && std::is_nothrow_default_constructible_v<heap>);
static_assert(!std::is_convertible_v<std::size_t, heap> &&
              !std::is_convertible_v<mm_allocator_t *, heap>);

alignas(16) static std::array<std::byte, 65536> memory;

TEST(heap_in_the_callers_memory) {
    {
        heap heap(memory.data(), memory.size());
        void *block = heap.malloc(100);
        EXPECT(block >= memory.data() && block < memory.data() + memory.size());
        EXPECT(heap && heap.validate() && heap.stats().live_blocks == 1 &&
               heap.block_size(block) >= 100);
        heap.free(block);
        EXPECT(heap.stats().live_blocks == 0);
    }
    memory.fill(std::byte(1)); // AddressSanitizer: the memory is usable again
}

TEST(heap_with_memory_of_its_own) {
    heap heap(100000);
    EXPECT(heap.stats().pool_bytes > 80000 && heap.stats().pool_bytes < 100000);
    void *block = heap.malloc(50000);
    EXPECT(block != nullptr);
    std::memset(block, 1, 50000); // AddressSanitizer: owned by the heap, and freed at its end
}

TEST(heap_too_small_is_empty_with_nothrow) {
    EXPECT(!heap(memory.data(), mm_size_for(0), std::nothrow));
    EXPECT(!heap(memory.data(), mm_size_for(1000), memoman::max_block(1000), std::nothrow));
    EXPECT(!heap(nullptr, 65536, std::nothrow));
    EXPECT(!heap(100, std::nothrow));
}

TEST(empty_heap_gives_nothing) {
    heap heap;
    EXPECT(!heap && heap.handle() == nullptr);
    EXPECT(heap.malloc(1) == nullptr && heap.calloc(1, 1) == nullptr &&
           heap.memalign(64, 1) == nullptr);
    EXPECT(heap.add_pool(memory.data(), memory.size()) == nullptr);
    EXPECT(heap.stats().pool_bytes == 0 && !heap.reset());
    heap.walk([](void *, std::size_t, bool) { EXPECT(false); });
}

TEST(heap_moves_and_its_allocators_stay_valid) {
    heap first(100000);
    memoman::allocator<int> ints(first);
    mm_allocator_t *handle = first.handle();
    heap second(std::move(first));
    EXPECT(!first && second.handle() == handle);
    int *block = ints.allocate(10);
    EXPECT(is_in(second, block));
    heap third(50000);
    third = std::move(second); // the heap that third had is freed
    EXPECT(!second && third.handle() == handle && third.stats().live_blocks == 1);
    ints.deallocate(block, 10);
    heap &same = third;
    third = std::move(same);
    EXPECT(third.handle() == handle && third.validate());
    heap fourth;
    swap(third, fourth);
    EXPECT(!third && fourth.handle() == handle);
}

TEST(heap_takes_over_an_allocator_from_c) {
    mm_allocator_t *small = mm_create_for(memory.data(), 1000);
    heap heap(small);
    EXPECT(heap.handle() == small && heap.malloc(1) == nullptr);
    EXPECT(heap.add_pool(memory.data() + mm_size_for(1000), 20000) != nullptr);
    EXPECT(heap.malloc(1000) != nullptr && heap.malloc(10000) == nullptr);
}

TEST(heap_with_a_limit_of_its_requests) {
    heap small(memory.data(), 8192, memoman::max_block(1000));
    EXPECT(small.malloc(1000) != nullptr && small.malloc(1100) == nullptr);
    EXPECT(small.add_pool(memory.data() + 8192, 30000) != nullptr);
    EXPECT(small.malloc(1100) == nullptr && small.validate());
    small = heap();
    heap grows(memory.data(), 8192, memoman::max_block(30000));
    EXPECT(grows.malloc(20000) == nullptr);
    EXPECT(grows.add_pool(memory.data() + 8192, 30000) != nullptr);
    EXPECT(grows.malloc(20000) != nullptr && grows.validate());
}

TEST(pools_come_and_go) {
    heap heap(20000, memoman::max_block(65536));
    mm_pool_t *pool = heap.add_pool(memory.data(), 30000);
    EXPECT(pool != nullptr && heap.add_pool(memory.data(), 30000) == nullptr);
    EXPECT(heap.extend_pool(pool, 30000) && !heap.extend_pool(pool, 0));
    void *block = heap.malloc(50000);
    EXPECT(block != nullptr && !heap.remove_pool(pool));
    heap.free(block);
    EXPECT(heap.remove_pool(pool) && !heap.remove_pool(pool) && heap.validate());
}

TEST(members_do_what_the_functions_do) {
    heap heap(memory.data(), memory.size());
    auto *zeros = static_cast<unsigned char *>(heap.calloc(10, 10));
    unsigned sum = 0;
    for (int i = 0; i < 100; i++) sum += zeros[i];
    EXPECT(sum == 0);
    auto *text = static_cast<char *>(heap.realloc(nullptr, 6));
    std::memcpy(text, "hello", 6);
    text = static_cast<char *>(heap.realloc(text, 5000));
    EXPECT(text != nullptr && std::strcmp(text, "hello") == 0);
    text = static_cast<char *>(heap.realloc_aligned(text, 4096, 6000));
    EXPECT(reinterpret_cast<std::uintptr_t>(text) % 4096 == 0 && std::strcmp(text, "hello") == 0);
    EXPECT(reinterpret_cast<std::uintptr_t>(heap.memalign(1024, 1)) % 1024 == 0);
    EXPECT(heap.stats().live_blocks == 3 && heap.reset() && heap.stats().live_blocks == 0);
}

static std::size_t seen;
static void see(void *, std::size_t, bool) { ++seen; }

TEST(walk_visits_every_block_of_every_pool) {
    heap heap(20000, memoman::max_block(65536));
    EXPECT(heap.add_pool(memory.data(), memory.size()) != nullptr);
    EXPECT(heap.malloc(100) != nullptr && heap.malloc(200) != nullptr &&
           heap.malloc(30000) != nullptr);
    std::size_t used = 0, unused = 0, bytes = 0;
    heap.walk([&](void *, std::size_t usable, bool in_use) {
        ++(in_use ? used : unused);
        bytes += usable;
    });
    mm_stats_t stats = heap.stats();
    EXPECT(used == 3 && unused == 2 && bytes + 5 * mm_alloc_overhead() == stats.used + stats.free);
    const auto constant = [&](void *, std::size_t, bool) { ++unused; };
    heap.walk(constant);
    seen = 0;
    heap.walk(see);
    EXPECT(unused == 7 && seen == 5);
}

TEST(misuse_goes_to_the_handler) {
    heap heap(memory.data(), memory.size());
    int reports = 0;
    heap.set_error_handler(
        [](const char *, const void *, void *user) { ++*static_cast<int *>(user); }, &reports);
    void *block = heap.malloc(100);
    heap.free(block);
    heap.free(block);
    EXPECT(reports == 1 && heap.validate());
}

TEST(measure_and_dump_see_the_blocks) {
    checked_heap heap(40000);
    void *first = heap.malloc(1000), *second = heap.malloc(1000);
    EXPECT(heap.fragmentation() == 0);
    heap.free(first);
    EXPECT(heap.measure().free_blocks == 2 && heap.measure().live_blocks == 1);
    EXPECT(heap.fragmentation() > 0 && heap.fragmentation() < 0.5);
    std::string lines;
    EXPECT(heap.dump(
        [&](const char *text, std::size_t bytes) {
            lines.append(text, bytes);
            return true;
        },
        MM_DUMP_JSON));
    EXPECT(lines.find("{\"end\":3,\"broken\":0}\n") != std::string::npos);
    EXPECT(!heap.dump([](const char *, std::size_t) { return false; }));
    heap.free(second);
    memoman::heap empty;
    EXPECT(empty.measure().free_blocks == 0);
    EXPECT(!empty.dump([](const char *, std::size_t) { return true; }));
}

TEST(observer_and_handler_are_called) {
    checked_heap heap(40000, memoman::max_block(65536));
    static char more[65536];
    std::size_t events = 0, frees = 0, requests = 0;
    auto count = [&](const mm_event_t &event) {
        events++;
        frees += event.kind == MM_EVENT_FREE;
    };
    auto grow = [&](std::size_t bytes, std::size_t align, const mm_stats_t &figures) {
        requests++;
        EXPECT(align == 0 && figures.largest < bytes);
        return heap.add_pool(more, sizeof more) != nullptr;
    };
    EXPECT(heap.set_observer(count) && heap.set_exhausted_handler(grow));
    void *block = heap.malloc(60000);
    EXPECT(block != nullptr && requests == 1);
    EXPECT(heap.malloc(60000) == nullptr && requests == 2);
    heap.free(block);
    EXPECT(events == 4 && frees == 1);
    EXPECT(heap.set_observer(nullptr) && heap.set_exhausted_handler(nullptr));
    heap.free(heap.malloc(100));
    EXPECT(events == 4 && heap.remove_pool(more));
    EXPECT(!memoman::heap().set_observer(count));
}

TEST(quantum_is_the_librarys) { EXPECT(memoman::detail::quantum == mm_align_size()); }

#if defined(__cpp_exceptions)
template <class Exception, class Action>
static bool throws(Action action) {
    try {
        action();
    } catch (const Exception &) {
        return true;
    }
    return false;
}

TEST(want_of_memory_is_bad_alloc) {
    EXPECT(throws<std::bad_alloc>([] { heap tiny(memory.data(), 500); }));
    EXPECT(throws<std::bad_alloc>([] { heap tiny(500); }));
    EXPECT(throws<std::bad_alloc>([] { heap tiny(memory.data(), 500, memoman::max_block(1)); }));
    EXPECT(throws<std::bad_alloc>([] { heap tiny(5000, memoman::max_block(SIZE_MAX)); }));
    checked_heap heap(20000);
    memoman::allocator<item> items(heap);
    EXPECT(throws<std::bad_alloc>([&] { (void)items.allocate(100000); }));
    EXPECT(throws<std::bad_array_new_length>([&] { (void)items.allocate(SIZE_MAX / 2); }));
    EXPECT(
        throws<std::bad_alloc>([] { (void)memoman::allocator<int>(memoman::heap()).allocate(1); }));
    memoman::memory_resource resource(heap);
    EXPECT(throws<std::bad_alloc>([&] { (void)resource.allocate(100000); }));
}

TEST(a_container_that_cannot_grow_keeps_what_it_has) {
    checked_heap heap(20000);
    std::vector<item, memoman::allocator<item>> items(heap);
    EXPECT(throws<std::bad_alloc>([&] {
        for (int i = 0;; i++) items.emplace_back(i);
    }));
    EXPECT(items.size() > 1000);
    for (std::size_t i = 0; i < items.size(); i++) EXPECT(items[i].value == static_cast<int>(i));
    EXPECT(throws<std::length_error>([&] { items.resize(SIZE_MAX); }));
}
#endif
