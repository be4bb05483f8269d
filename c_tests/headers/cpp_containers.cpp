// memoman::allocator in every standard container: contents compared with a container of
// std::allocator, and copies and moves over two heaps.
#include "cpp_life.hpp"

#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <queue>
#include <scoped_allocator>
#include <set>
#include <stack>
#include <string>
#include <unordered_map>
#include <unordered_set>

template <class T>
using mm = memoman::allocator<T>;

static_assert(std::is_same_v<std::allocator_traits<mm<int>>::rebind_alloc<item>, mm<item>>);
static_assert(std::is_nothrow_copy_constructible_v<mm<int>> &&
              std::is_nothrow_copy_assignable_v<mm<int>>);
static_assert(std::is_nothrow_constructible_v<mm<item>, const mm<int> &> &&
              !std::is_default_constructible_v<mm<int>>);
static_assert(std::is_same_v<std::allocator_traits<mm<int>>::pointer, int *>);
static_assert(std::is_nothrow_move_assignable_v<std::vector<item, mm<item>>>);

// Random insertions and erasures, the same in the container and in its model.
template <class Container, class Model>
static void sequence() {
    checked_heap heap;
    Container container(heap);
    Model model;
    numbers numbers;
    for (int step = 0; step < 2000; step++) {
        const int value = static_cast<int>(numbers.below(1000));
        const std::size_t size = model.size(), at = numbers.below(size + 1);
        switch (numbers.below(6)) {
        case 0: container.push_back(value), model.push_back(value); break;
        case 1:
            container.insert(std::next(container.begin(), at), value);
            model.insert(std::next(model.begin(), at), value);
            break;
        case 2:
            container.insert(std::next(container.begin(), at), 5, value);
            model.insert(std::next(model.begin(), at), 5, value);
            break;
        case 3:
            if (at == size) break;
            container.erase(std::next(container.begin(), at));
            model.erase(std::next(model.begin(), at));
            break;
        case 4:
            container.erase(std::next(container.begin(), at), container.end());
            model.erase(std::next(model.begin(), at), model.end());
            break;
        default: container.resize(size + value % 50), model.resize(size + value % 50); break;
        }
        EXPECT(std::equal(container.begin(), container.end(), model.begin(), model.end()));
    }
    EXPECT(heap.validate());
    const auto fill = [](Container &target) {
        target.assign(100, 7), target.insert(target.begin(), {3, 1, 4});
    };
    live<Container>(fill);
}

template <class Value>
static Value value_of(int number) { return Value(number); }
template <>
std::pair<const int, item> value_of(int number) { return {number / 2, item(number)}; }

template <class Value>
static const Value &key_in(const Value &value) { return value; }
static const int &key_in(const std::pair<const int, item> &value) { return value.first; }

// Random insertions and erasures in associative containers, ordered or not.
template <class Container, class Model>
static void associative() {
    using value = typename Container::value_type;
    checked_heap heap;
    Container container{typename Container::allocator_type(heap)};
    Model model;
    numbers numbers;
    for (int step = 0; step < 4000; step++) {
        const value entry = value_of<value>(static_cast<int>(numbers.below(200)));
        const auto &key = key_in(entry);
        if (numbers.below(3) != 0) {
            container.insert(entry), model.insert(entry);
        } else {
            EXPECT(container.erase(key) == model.erase(key));
        }
        EXPECT(container.size() == model.size() && container.count(key) == model.count(key));
    }
    EXPECT(std::is_permutation(container.begin(), container.end(), model.begin(), model.end()) &&
           heap.validate());

    // Nodes leave their container, outlive it, and enter another one of the same heap.
    Container second{typename Container::allocator_type(heap)};
    {
        Container first(container);
        const std::size_t before = heap.stats().live_blocks;
        const void *where = first_of(first);
        auto node = first.extract(first.begin());
        EXPECT(heap.stats().live_blocks == before &&
               node.get_allocator() == memoman::allocator<value>(heap));
        first.clear();
        second.insert(std::move(node));
        EXPECT(first_of(second) == where);
    }
    second.clear();
    second.merge(container);
    EXPECT(std::is_permutation(second.begin(), second.end(), model.begin(), model.end()) &&
           container.empty());

    live<Container>([](Container &target) {
        for (int number : {3, 1, 4, 1, 5, 9, 2, 6}) target.insert(value_of<value>(number));
    });
}

TEST(vector_of_int) { sequence<std::vector<int, mm<int>>, std::vector<int>>(); }
TEST(vector_of_items) { sequence<std::vector<item, mm<item>>, std::vector<item>>(); }
TEST(vector_of_wide) { sequence<std::vector<wide, mm<wide>>, std::vector<wide>>(); }
TEST(deque_of_items) { sequence<std::deque<item, mm<item>>, std::deque<item>>(); }
TEST(list_of_items) { sequence<std::list<item, mm<item>>, std::list<item>>(); }
TEST(string) { sequence<std::basic_string<char, std::char_traits<char>, mm<char>>, std::string>(); }
TEST(u32string) {
    sequence<std::basic_string<char32_t, std::char_traits<char32_t>, mm<char32_t>>,
             std::u32string>();
}

using entry = std::pair<const int, item>;
TEST(set) { associative<std::set<item, std::less<item>, mm<item>>, std::set<item>>(); }
TEST(set_of_wide) { associative<std::set<wide, std::less<wide>, mm<wide>>, std::set<wide>>(); }
TEST(multiset) {
    associative<std::multiset<item, std::less<item>, mm<item>>, std::multiset<item>>();
}
TEST(map) { associative<std::map<int, item, std::less<int>, mm<entry>>, std::map<int, item>>(); }
TEST(multimap) {
    associative<std::multimap<int, item, std::less<int>, mm<entry>>, std::multimap<int, item>>();
}

template <class Key>
using equal = std::equal_to<Key>;
template <class Key>
using hash = std::hash<Key>;
TEST(unordered_set) {
    associative<std::unordered_set<item, hash<item>, equal<item>, mm<item>>,
                std::unordered_set<item>>();
}
TEST(unordered_set_of_wide) {
    associative<std::unordered_set<wide, hash<wide>, equal<wide>, mm<wide>>,
                std::unordered_set<wide>>();
}
TEST(unordered_multiset) {
    associative<std::unordered_multiset<item, hash<item>, equal<item>, mm<item>>,
                std::unordered_multiset<item>>();
}
TEST(unordered_map) {
    associative<std::unordered_map<int, item, hash<int>, equal<int>, mm<entry>>,
                std::unordered_map<int, item>>();
}
TEST(unordered_multimap) {
    associative<std::unordered_multimap<int, item, hash<int>, equal<int>, mm<entry>>,
                std::unordered_multimap<int, item>>();
}

TEST(vector_of_bool) {
    using bits = std::vector<bool, mm<bool>>;
    checked_heap a, b;
    bits original({true, false, true, true}, a), other(1000, true, b);
    bits copy(original);
    EXPECT(copy == original && copy.get_allocator() == original.get_allocator());
    other = original;
    EXPECT(other == original && other.get_allocator() == mm<bool>(b));
    original.resize(3000, true);
    std::swap(original, other);
    EXPECT(other.size() == 3000 && original == copy && original.get_allocator() == mm<bool>(b));
    other = std::move(original);
    EXPECT(other == copy && other.get_allocator() == mm<bool>(b));
}

TEST(forward_list) {
    using list = std::forward_list<item, mm<item>>;
    checked_heap heap;
    list container(heap);
    std::forward_list<item> model;
    numbers numbers;
    for (int step = 0; step < 2000; step++) {
        const int value = static_cast<int>(numbers.below(50));
        if (numbers.below(8) != 0) container.push_front(value), model.push_front(value);
        else container.remove(value), model.remove(value);
    }
    container.sort(), model.sort();
    container.unique(), model.unique();
    EXPECT(std::equal(container.begin(), container.end(), model.begin(), model.end()));
    list second({100, 101}, heap);
    second.splice_after(second.before_begin(), container);
    EXPECT(container.empty() && std::next(second.begin())->value == 1);
    container.merge(second);
    live<list>([](list &target) { target.assign({3, 1, 4, 1, 5}); });
}

TEST(list_splices_within_a_heap) {
    using list = std::list<item, mm<item>>;
    checked_heap heap;
    list one({1, 3, 5}, heap), other({2, 4}, heap);
    const std::size_t blocks = heap.stats().live_blocks;
    const void *where = first_of(other);
    one.splice(one.begin(), other, other.begin());
    EXPECT(first_of(one) == where && heap.stats().live_blocks == blocks && other.size() == 1);
    one.sort();
    one.merge(other);
    EXPECT(one == list({1, 2, 3, 4, 5}, heap));
}

TEST(adaptors) {
    checked_heap heap;
    const mm<int> ints(heap);
    std::stack<int, std::vector<int, mm<int>>> stack(ints);
    std::queue<int, std::deque<int, mm<int>>> queue(ints);
    std::priority_queue<int, std::vector<int, mm<int>>> largest(ints);
    for (int number : {3, 1, 4, 1, 5, 9, 2, 6})
        stack.push(number), queue.push(number), largest.push(number);
    EXPECT(stack.top() == 6 && queue.front() == 3 && largest.top() == 9);
    EXPECT(is_in(heap, &stack.top()) && is_in(heap, &queue.front()) && is_in(heap, &largest.top()));
    stack.pop(), queue.pop(), largest.pop();
    EXPECT(stack.top() == 2 && queue.front() == 1 && largest.top() == 6);
}

TEST(scoped_allocator_reaches_the_elements) {
    using string = std::basic_string<char, std::char_traits<char>, mm<char>>;
    using strings = std::vector<string, std::scoped_allocator_adaptor<mm<string>>>;
    checked_heap heap;
    strings texts{std::scoped_allocator_adaptor<mm<string>>(mm<string>(heap))};
    for (int i = 0; i < 100; i++) texts.emplace_back(100, 'x');
    EXPECT(texts[50].get_allocator() == mm<char>(heap) && is_in(heap, texts[50].data()));
}

TEST(allocate_shared) {
    checked_heap heap;
    std::weak_ptr<wide> weak;
    {
        std::shared_ptr<wide> shared = std::allocate_shared<wide>(mm<wide>(heap), 42);
        weak = shared;
        EXPECT(shared->value == 42 && shared->aligned() && is_in(heap, shared.get()));
    }
    EXPECT(weak.expired());
}
