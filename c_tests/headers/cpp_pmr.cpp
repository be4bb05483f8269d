// memoman::memory_resource: the rules of std::pmr, and every container of std::pmr.
#include "cpp_check.hpp"

#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace pmr = std::pmr;
using memoman::memory_resource;

static_assert(!std::is_convertible_v<memoman::heap, memory_resource>);

TEST(resource_gives_every_size_and_alignment) {
    checked_heap heap;
    memory_resource resource(heap);
    for (std::size_t align = 1; align <= 4096; align *= 2) {
        for (std::size_t bytes : {0, 1, 16, 100, 5000}) {
            void *block = resource.allocate(bytes, align);
            EXPECT(block != nullptr && reinterpret_cast<std::uintptr_t>(block) % align == 0 &&
                   is_in(heap, block));
            resource.deallocate(block, bytes, align);
        }
    }
}

TEST(resources_are_equal_by_heap) {
    checked_heap a, b;
    memory_resource one(a), same(a), other(b);
#if defined(__cpp_rtti)
    EXPECT(one.is_equal(same) && one == same);
#else
    EXPECT(!one.is_equal(same));
#endif
    EXPECT(one == one && one != other && !one.is_equal(*pmr::new_delete_resource()));
    EXPECT(!pmr::new_delete_resource()->is_equal(one));
}

// Fills, copies, moves and swaps a container in two heaps. A pmr container never changes its
// resource.
template <class Container, class Add>
static void exercise(Add add) {
    checked_heap a, b;
    memory_resource in_a(a), in_b(b);
    Container one(&in_a), other(&in_b);
    for (int number = 0; number < 500; number++) add(one, number);
    EXPECT(one.get_allocator().resource() == &in_a && is_in(a, std::addressof(*one.begin())));
    other = one;
    EXPECT(other == one && other.get_allocator().resource() == &in_b &&
           is_in(b, std::addressof(*other.begin())));
    Container moved(std::move(other), &in_a);
    EXPECT(moved == one && is_in(a, std::addressof(*moved.begin())));
    moved.clear();
    moved = std::move(one);
    EXPECT(moved.get_allocator().resource() == &in_a && moved.begin() != moved.end());
    Container third(&in_a);
    third.swap(moved);
    EXPECT(moved.begin() == moved.end() && third.begin() != third.end());
}

static const auto push_back = [](auto &container, int number) { container.push_back(number); };
static const auto insert = [](auto &container, int number) { container.insert(number); };
static const auto insert_pair = [](auto &container, int number) {
    container.insert({number / 2, item(number)});
};

TEST(pmr_vector) { exercise<pmr::vector<item>>(push_back); }
TEST(pmr_vector_of_wide) { exercise<pmr::vector<wide>>(push_back); }
TEST(pmr_deque) { exercise<pmr::deque<item>>(push_back); }
TEST(pmr_list) { exercise<pmr::list<wide>>(push_back); }
TEST(pmr_forward_list) {
    exercise<pmr::forward_list<item>>([](auto &list, int number) { list.push_front(number); });
}
TEST(pmr_string) {
    exercise<pmr::string>(
        [](auto &text, int number) { text.push_back(static_cast<char>('a' + number % 26)); });
}
TEST(pmr_set) { exercise<pmr::set<item>>(insert); }
TEST(pmr_multiset) { exercise<pmr::multiset<item>>(insert); }
TEST(pmr_map) { exercise<pmr::map<int, item>>(insert_pair); }
TEST(pmr_multimap) { exercise<pmr::multimap<int, item>>(insert_pair); }
TEST(pmr_unordered_set) { exercise<pmr::unordered_set<item>>(insert); }
TEST(pmr_unordered_multiset) { exercise<pmr::unordered_multiset<item>>(insert); }
TEST(pmr_unordered_map) { exercise<pmr::unordered_map<int, item>>(insert_pair); }
TEST(pmr_unordered_multimap) { exercise<pmr::unordered_multimap<int, item>>(insert_pair); }

TEST(pmr_elements_use_the_same_resource) {
    checked_heap heap;
    memory_resource resource(heap);
    pmr::map<pmr::string, pmr::vector<pmr::string>> index(&resource);
    index["a key that is too long for the short form"].emplace_back(
        "a value that is too long for the short form");
    const auto &[key, values] = *index.begin();
    EXPECT(is_in(heap, key.data()) && is_in(heap, values.data()) && is_in(heap, values[0].data()));
}

TEST(pmr_resources_on_top) {
    checked_heap heap;
    memory_resource resource(heap);
    pmr::unsynchronized_pool_resource pooled(&resource);
    pmr::monotonic_buffer_resource growing(&resource);
    pmr::list<int> one(&pooled), other(&growing);
    for (int number = 0; number < 1000; number++) one.push_back(number), other.push_back(number);
    EXPECT(one == other && is_in(heap, &one.front()) && is_in(heap, &other.back()));
}
