// memoman::unique_ptr and the resource over the process-wide heap.
#include "cpp_check.hpp"
#include "cpp_life.hpp"

#include <memory_resource>
#include <stdexcept>
#include <string>
#include <thread>

using memoman::make_unique;
using memoman::unique_ptr;

alignas(16) static unsigned char memory[65536];

TEST(unique_ptr_destroys_and_frees) {
    memoman::heap heap(memory, sizeof memory);
    const long before = item::alive;
    unique_ptr<item> one = make_unique<item>(heap, 7);
    EXPECT(one->value == 7 && item::alive == before + 1 && heap.stats().live_blocks == 1);
    unique_ptr<item> other = std::move(one);
    EXPECT(!one && other->value == 7 && other.get_deleter().handle() == heap.handle());
    other = make_unique<item>(heap, 8);
    EXPECT(other->value == 8 && item::alive == before + 1 && heap.stats().live_blocks == 1);
    other.reset();
    EXPECT(item::alive == before && heap.stats().live_blocks == 0 && heap.validate());
}

TEST(unique_ptr_keeps_alignment) {
    struct alignas(256) aligned {
        char bytes[256];
    };
    memoman::heap heap(memory, sizeof memory);
    auto object = make_unique<aligned>(heap);
    EXPECT(reinterpret_cast<std::uintptr_t>(object.get()) % 256 == 0);
}

#if defined(__cpp_exceptions)
TEST(make_unique_frees_when_the_constructor_throws) {
    struct thrower {
        thrower() { throw std::runtime_error("no"); }
    };
    memoman::heap heap(memory, sizeof memory);
    bool thrown = false;
    try {
        (void)make_unique<thrower>(heap);
    } catch (const std::runtime_error &) {
        thrown = true;
    }
    EXPECT(thrown && heap.stats().live_blocks == 0);
    struct large {
        char bytes[100000];
    };
    thrown = false;
    try {
        (void)make_unique<large>(heap);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    EXPECT(thrown);
}
#endif

TEST(global_resource_serves_threads) {
    std::pmr::memory_resource *global = memoman::global_resource();
    EXPECT(global == memoman::global_resource() && global->is_equal(*global));
    EXPECT(!global->is_equal(*std::pmr::new_delete_resource()));
    std::pmr::vector<std::pmr::string> names(global);
    auto fill = [&] {
        for (int i = 0; i < 100; i++) names.emplace_back("a string too long for the short form");
    };
#if defined(__GLIBCXX__) && !defined(_GLIBCXX_HAS_GTHREADS)
    fill(); // MinGW's library for Windows' own threads has no std::thread.
#else
    std::thread(fill).join();
#endif
    EXPECT(names.size() == 100 && mm_validate_global() != 0);
    void *block = global->allocate(100, 4096);
    EXPECT(reinterpret_cast<std::uintptr_t>(block) % 4096 == 0);
    global->deallocate(block, 100, 4096);
    block = global->allocate(0);
    EXPECT(block != nullptr);
    global->deallocate(block, 0);
}
