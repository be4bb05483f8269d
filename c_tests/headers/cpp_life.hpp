// A container's life over heaps: copies, moves, assignments and swaps within one heap and between
// two.
#ifndef CPP_LIFE_HPP
#define CPP_LIFE_HPP

#include "cpp_check.hpp"

// The address of the first element, for every container, forward_list included.
template <class Container>
const void *first_of(const Container &container) {
    return std::addressof(*container.begin());
}

// `fill` puts a few elements into a container, the same each time.
template <class Container, class Fill>
void live(Fill fill) {
    using allocator = typename Container::allocator_type;
    using traits = std::allocator_traits<allocator>;
    static_assert(traits::propagate_on_container_move_assignment::value &&
                  traits::propagate_on_container_swap::value);
    static_assert(!traits::propagate_on_container_copy_assignment::value &&
                  !traits::is_always_equal::value);

    checked_heap a, b;
    allocator in_a(a), in_b(b);
    Container original(in_a);
    fill(original);
    const Container &constant = original;
    EXPECT(original.get_allocator() == in_a && original.get_allocator() != in_b &&
           is_in(a, first_of(original)));
    const std::size_t blocks_of_b = b.stats().live_blocks;

    { // copy construction: in the original's heap, or in the named one
        Container copy(constant);
        EXPECT(copy == original && copy.get_allocator() == in_a &&
               first_of(copy) != first_of(original));
        Container copy_in_b(constant, in_b);
        EXPECT(copy_in_b == original && copy_in_b.get_allocator() == in_b &&
               is_in(b, first_of(copy_in_b)));
    }
    EXPECT(b.stats().live_blocks == blocks_of_b);

    { // move construction: the elements stay in place
        Container source(constant);
        const void *where = first_of(source);
        Container moved(std::move(source));
        EXPECT(moved == original && moved.get_allocator() == in_a && first_of(moved) == where);
        Container moved_within(std::move(moved), in_a);
        EXPECT(moved_within == original && first_of(moved_within) == where);
        Container moved_over(std::move(moved_within), in_b); // into b: the elements are moved there
        EXPECT(moved_over == original && moved_over.get_allocator() == in_b &&
               is_in(b, first_of(moved_over)));
    }

    { // copy assignment keeps the target's heap
        Container target(in_b);
        fill(target);
        target = constant;
        EXPECT(target == original && target.get_allocator() == in_b && is_in(b, first_of(target)));
        target = Container(in_b);
        EXPECT(target.begin() == target.end());
    }

    { // move assignment takes the heap along
        Container source(constant), target(in_b);
        fill(target);
        const void *where = first_of(source);
        target = std::move(source);
        EXPECT(target == original && target.get_allocator() == in_a && first_of(target) == where);
        source = Container(in_b); // a moved-from container can be used again
        fill(source);
        EXPECT(source == original && source.get_allocator() == in_b);
    }

    { // swap exchanges the heaps
        Container one(constant), other(in_b);
        fill(other);
        const void *where_one = first_of(one), *where_other = first_of(other);
        using std::swap;
        swap(one, other);
        EXPECT(one.get_allocator() == in_b && other.get_allocator() == in_a);
        EXPECT(first_of(one) == where_other && first_of(other) == where_one && one == original &&
               other == original);
        one.clear();
        other.clear();
        EXPECT(one.begin() == one.end() && other.begin() == other.end());
    }
    EXPECT(b.stats().live_blocks == blocks_of_b && b.validate() && a.validate());
}

#endif
