/*
 * memoman for C++17 and later: a heap that owns its allocator, a std::pmr resource and a standard
 * allocator over it. Header only; link libmemoman.
 *
 *     std::array<std::byte, 65536> memory;
 *     memoman::heap heap(memory.data(), memory.size());
 *     std::vector<int, memoman::allocator<int>> numbers(heap);
 *
 * Exceptions
 *   A failed allocation or construction throws std::bad_alloc. Without exceptions
 *   (-fno-exceptions) it calls MEMOMAN_OUT_OF_MEMORY(): std::abort(), unless you define it before
 *   this header, the same in every unit of a program; it must not return. The functions of `heap`
 *   named as in C never throw: they return nullptr.
 *
 * Lifetimes
 *   A heap must outlive its blocks, resources and allocators. It may be moved meanwhile: they refer
 *   to the allocator in the memory, not to the heap object.
 *
 * Threads
 *   As in C: one heap, one thread at a time; different heaps are independent.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef MEMOMAN_HPP
#define MEMOMAN_HPP

#if defined(_MSVC_LANG) ? _MSVC_LANG < 201703L : __cplusplus < 201703L
#error "memoman.hpp needs C++17 or later: -std=c++17"
#else

#include "memoman.h"

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

#ifndef MEMOMAN_OUT_OF_MEMORY
#define MEMOMAN_OUT_OF_MEMORY() ::std::abort()
#endif

namespace memoman {

namespace detail {

/* The alignment of every block, mm_align_size(), as a constant. */
inline constexpr std::size_t quantum = 2 * sizeof(void *);

[[noreturn]] inline void out_of_memory() {
#if defined(__cpp_exceptions)
    throw std::bad_alloc();
#else
    MEMOMAN_OUT_OF_MEMORY();
    std::abort();
#endif
}

[[noreturn]] inline void too_many() {
#if defined(__cpp_exceptions)
    throw std::bad_array_new_length();
#else
    out_of_memory();
#endif
}

/* A block of at least `bytes` bytes, which may be 0; throws if there is none. */
inline void *allocate(mm_allocator_t *allocator, std::size_t bytes, std::size_t align) {
    const std::size_t asked = bytes != 0 ? bytes : 1;
    void *block =
        align <= quantum ? mm_malloc(allocator, asked) : mm_memalign(allocator, align, asked);
    if (block == nullptr) {
        out_of_memory();
    }
    return block;
}

} // namespace detail

/** The largest request that a heap is created for, in bytes: an argument of its constructors. */
struct max_block {
    explicit constexpr max_block(std::size_t size) noexcept : bytes(size) {}
    std::size_t bytes;
};

/**
 * An allocator and the memory that it lives in. Destroying it ends the allocator:
 * all its blocks are gone, whether they were freed or not.
 */
class heap {
public:
    /** An empty heap: it allocates nothing until a heap is moved into it. */
    heap() noexcept = default;

    /** In your memory, which must outlive the heap; any address and length. Requests up to the
     * block that fills it, also from pools that are added later. Throws if it is too small. */
    heap(void *memory, std::size_t bytes) : heap(memory, bytes, std::nothrow) {
        if (!*this) {
            detail::out_of_memory();
        }
    }

    /** For requests up to `limit`: more than `bytes` for larger pools that are added later, less
     * for a smaller control structure. Throws if the memory is too small. */
    heap(void *memory, std::size_t bytes, max_block limit)
        : heap(memory, bytes, limit, std::nothrow) {
        if (!*this) {
            detail::out_of_memory();
        }
    }

    /** As above; an empty heap if the memory is too small. */
    heap(void *memory, std::size_t bytes, max_block limit, const std::nothrow_t &) noexcept
        : allocator_(mm_create_for_with_pool(memory, bytes, limit.bytes)) {}

    /** As above; an empty heap if the memory is too small. */
    heap(void *memory, std::size_t bytes, const std::nothrow_t &) noexcept
        : allocator_(mm_create_with_pool(memory, bytes)) {}

    /** In memory of its own, from operator new: `bytes` in all, control structure included. */
    explicit heap(std::size_t bytes) : heap(bytes, std::nothrow) {
        if (!*this) {
            detail::out_of_memory();
        }
    }

    /** As above; an empty heap if there is not enough memory, or `bytes` is too small. */
    heap(std::size_t bytes, const std::nothrow_t &) noexcept
        : owned_(::operator new(bytes, std::nothrow)),
          allocator_(mm_create_with_pool(owned_.get(), bytes)) {
        if (allocator_ == nullptr) {
            owned_.reset();
        }
    }

    /** As above, for requests up to `limit`, also from larger pools that are added later. */
    heap(std::size_t bytes, max_block limit) : heap(bytes, limit, std::nothrow) {
        if (!*this) {
            detail::out_of_memory();
        }
    }

    /** As above; an empty heap if there is not enough memory. */
    heap(std::size_t bytes, max_block limit, const std::nothrow_t &) noexcept
        : owned_(::operator new(bytes, std::nothrow)),
          allocator_(mm_create_for_with_pool(owned_.get(), bytes, limit.bytes)) {
        if (allocator_ == nullptr) {
            owned_.reset();
        }
    }

    /** Owns an allocator that was created by a function of memoman.h, for example mm_create_for. */
    explicit heap(mm_allocator_t *allocator) noexcept : allocator_(allocator) {}

    heap(heap &&other) noexcept
        : owned_(std::move(other.owned_)), allocator_(std::exchange(other.allocator_, nullptr)) {}

    heap &operator=(heap &&other) noexcept {
        heap(std::move(other)).swap(*this);
        return *this;
    }

    heap(const heap &) = delete;
    heap &operator=(const heap &) = delete;

    ~heap() { mm_destroy(allocator_); }

    void swap(heap &other) noexcept {
        std::swap(owned_, other.owned_);
        std::swap(allocator_, other.allocator_);
    }

    friend void swap(heap &one, heap &other) noexcept { one.swap(other); }

    /** For the functions of memoman.h; nullptr if empty. */
    mm_allocator_t *handle() const noexcept { return allocator_; }

    /** Whether there is an allocator. */
    explicit operator bool() const noexcept { return allocator_ != nullptr; }

    /** mm_add_pool: the memory must outlive the heap, or be removed first. nullptr if refused. */
    mm_pool_t *add_pool(void *memory, std::size_t bytes) noexcept {
        return mm_add_pool(allocator_, memory, bytes);
    }

    /** mm_extend_pool. */
    bool extend_pool(mm_pool_t *pool, std::size_t more_bytes) noexcept {
        return mm_extend_pool(allocator_, pool, more_bytes) != 0;
    }

    /** mm_remove_pool: false, and nothing changes, while a block of it is in use. */
    bool remove_pool(void *memory_or_pool) noexcept {
        return mm_remove_pool(allocator_, memory_or_pool) != 0;
    }

    /** mm_reset: frees all blocks at once. */
    bool reset() noexcept { return mm_reset(allocator_) != 0; }

    /** mm_malloc: nullptr for 0 bytes, or if there is not enough memory. */
    void *malloc(std::size_t bytes) noexcept { return mm_malloc(allocator_, bytes); }

    /** mm_calloc. */
    void *calloc(std::size_t count, std::size_t size) noexcept {
        return mm_calloc(allocator_, count, size);
    }

    /** mm_memalign. */
    void *memalign(std::size_t align, std::size_t bytes) noexcept {
        return mm_memalign(allocator_, align, bytes);
    }

    /** mm_realloc. */
    void *realloc(void *block, std::size_t bytes) noexcept {
        return mm_realloc(allocator_, block, bytes);
    }

    /** mm_realloc_aligned. */
    void *realloc_aligned(void *block, std::size_t align, std::size_t bytes) noexcept {
        return mm_realloc_aligned(allocator_, block, align, bytes);
    }

    /** mm_free. */
    void free(void *block) noexcept { mm_free(allocator_, block); }

    /** mm_block_size: usable bytes. */
    static std::size_t block_size(const void *block) noexcept { return mm_block_size(block); }

    /** mm_validate: whether every invariant holds. */
    bool validate() const noexcept { return mm_validate(allocator_) != 0; }

    /** mm_stats; all zero if empty. */
    mm_stats_t stats() const noexcept {
        mm_stats_t figures{};
        mm_stats(allocator_, &figures, sizeof figures);
        return figures;
    }

    /** mm_measure; all zero if empty, or if a header is overwritten. */
    mm_measure_t measure() const noexcept {
        mm_measure_t figures{};
        mm_measure(allocator_, &figures);
        return figures;
    }

    /** External fragmentation, from 0 to 1, as mm_measure finds it. */
    double fragmentation() const noexcept {
        return static_cast<double>(measure().fragmentation) / 1e6;
    }

    /**
     * mm_dump: calls `write(const char *text, std::size_t bytes)`, which returns whether to
     * continue, and must neither throw nor change the heap.
     */
    template <class Write>
    bool dump(Write &&write, int format = MM_DUMP_TEXT) const noexcept {
        auto *target = std::addressof(write);
        const mm_writer writer = [](const char *text, std::size_t bytes,
                                    void *user) noexcept -> int {
            return (**static_cast<decltype(target) *>(user))(text, bytes) ? 1 : 0;
        };
        return mm_dump(allocator_, writer, &target, format) != 0;
    }

    /** mm_set_error_handler: `handler` is called on misuse and must not throw. */
    void set_error_handler(mm_error_handler handler, void *user = nullptr) noexcept {
        mm_set_error_handler(allocator_, handler, user);
    }

    /**
     * mm_set_observer: `observer(const mm_event_t &event)` is called after each call that changes
     * the heap. It must outlive the heap or be removed, and neither throw nor change the heap.
     * False if refused.
     */
    template <class Observer>
    bool set_observer(Observer &observer) noexcept {
        const mm_observer function = [](const mm_event_t *event, void *user) noexcept {
            (*static_cast<Observer *>(user))(*event);
        };
        return mm_set_observer(allocator_, function, std::addressof(observer)) != 0;
    }

    /** Removes the observer. */
    bool set_observer(std::nullptr_t) noexcept {
        return mm_set_observer(allocator_, nullptr, nullptr) != 0;
    }

    /**
     * mm_set_exhausted_handler: `handler(std::size_t bytes, std::size_t align, const mm_stats_t &)`
     * is called when a request finds no memory; it may add a pool to the heap or free blocks, and
     * returns whether to try once more. It must outlive the heap or be removed, and not throw.
     * False if refused.
     */
    template <class Handler>
    bool set_exhausted_handler(Handler &handler) noexcept {
        const mm_exhausted_handler function = [](mm_allocator_t *, std::size_t bytes,
                                                 std::size_t align, const mm_stats_t *figures,
                                                 void *user) noexcept -> int {
            return (*static_cast<Handler *>(user))(bytes, align, *figures) ? 1 : 0;
        };
        return mm_set_exhausted_handler(allocator_, function, std::addressof(handler)) != 0;
    }

    /** Removes the handler. */
    bool set_exhausted_handler(std::nullptr_t) noexcept {
        return mm_set_exhausted_handler(allocator_, nullptr, nullptr) != 0;
    }

    /**
     * mm_set_cache: keeps up to `blocks` freed blocks of each size, 1 to 15. The table in the
     * `bytes` bytes at `mem` must outlive the heap or the cache.
     */
    bool set_cache(void *mem, std::size_t bytes, std::size_t blocks) noexcept {
        return mm_set_cache(allocator_, mem, bytes, blocks) != 0;
    }
    /** Frees the cached blocks and removes the cache. */
    bool set_cache(std::nullptr_t) noexcept {
        return mm_set_cache(allocator_, nullptr, 0, 0) != 0;
    }

    /**
     * Calls `visit(void *payload, std::size_t usable, bool used)` for each block of
     * every pool. It must neither throw nor use the heap.
     */
    template <class Visit>
    void walk(Visit &&visit) const noexcept {
        auto *target = std::addressof(visit);
        const mm_walker walker = [](void *payload, std::size_t usable, int used,
                                    void *user) noexcept {
            (**static_cast<decltype(target) *>(user))(payload, usable, used != 0);
        };
        for (mm_pool_t *pool = mm_get_pool(allocator_); pool != nullptr;
             pool = mm_next_pool(allocator_, pool)) {
            mm_walk_pool(pool, walker, &target);
        }
    }

private:
    struct deleter {
        void operator()(void *memory) const noexcept { ::operator delete(memory); }
    };

    std::unique_ptr<void, deleter> owned_; /* first, since the allocator lives in it */
    mm_allocator_t *allocator_ = nullptr;
};

/**
 * A standard allocator over one heap. Two are equal if they have the same heap.
 *
 * Moving and swapping containers moves and swaps their heaps with the elements: O(1), also between
 * heaps. Copy assignment copies the elements into the target's own heap; copy construction uses the
 * heap of the original.
 */
template <class T>
class allocator {
public:
    using value_type = T;
    using propagate_on_container_copy_assignment = std::false_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;

    /** Over a heap, implicitly: `std::vector<int, memoman::allocator<int>> numbers(heap)`. */
    allocator(const heap &source) noexcept : handle_(source.handle()) {}

    /** Over an allocator of memoman.h. */
    explicit allocator(mm_allocator_t *source) noexcept : handle_(source) {}

    /** For another type, over the same heap. */
    template <class U>
    allocator(const allocator<U> &other) noexcept : handle_(other.handle()) {}

    /** Room for `count` objects, aligned for T. Throws std::bad_alloc. */
    [[nodiscard]] T *allocate(std::size_t count) {
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) {
            detail::too_many();
        }
        return static_cast<T *>(detail::allocate(handle_, count * sizeof(T), alignof(T)));
    }

    void deallocate(T *block, std::size_t) noexcept { mm_free(handle_, block); }

    /** Copy construction of a container: the copy's elements are in the same heap. */
    allocator select_on_container_copy_construction() const noexcept { return *this; }

    /** For the functions of memoman.h. */
    mm_allocator_t *handle() const noexcept { return handle_; }

private:
    mm_allocator_t *handle_;
};

template <class T, class U>
bool operator==(const allocator<T> &one, const allocator<U> &other) noexcept {
    return one.handle() == other.handle();
}

template <class T, class U>
bool operator!=(const allocator<T> &one, const allocator<U> &other) noexcept {
    return one.handle() != other.handle();
}

/**
 * A std::pmr::memory_resource over one heap. Two are equal if they have the same
 * heap; without run-time type information (-fno-rtti), only if they are the same object.
 */
class memory_resource final : public std::pmr::memory_resource {
public:
    explicit memory_resource(const heap &source) noexcept : handle_(source.handle()) {}

    /** Over an allocator of memoman.h. */
    explicit memory_resource(mm_allocator_t *source) noexcept : handle_(source) {}

    /** For the functions of memoman.h. */
    mm_allocator_t *handle() const noexcept { return handle_; }

private:
    void *do_allocate(std::size_t bytes, std::size_t align) override {
        return detail::allocate(handle_, bytes, align);
    }

    void do_deallocate(void *block, std::size_t, std::size_t) override { mm_free(handle_, block); }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
#if defined(__cpp_rtti)
        const auto *same = dynamic_cast<const memory_resource *>(&other);
        return same != nullptr && same->handle_ == handle_;
#else
        return this == &other;
#endif
    }

    mm_allocator_t *handle_;
};

/**
 * The std::pmr::memory_resource over the process-wide heap (the _global functions): for any number
 * of threads, never destroyed. All of them are equal.
 */
inline std::pmr::memory_resource *global_resource() noexcept {
    class resource final : public std::pmr::memory_resource {
        void *do_allocate(std::size_t bytes, std::size_t align) override {
            const std::size_t asked = bytes != 0 ? bytes : 1;
            void *block = align <= detail::quantum ? mm_malloc_global(asked)
                                                   : mm_memalign_global(align, asked);
            if (block == nullptr) {
                detail::out_of_memory();
            }
            return block;
        }
        void do_deallocate(void *block, std::size_t, std::size_t) override {
            mm_free_global(block);
        }
        bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
            return this == &other;
        }
    };
    /* Objects with static storage may use it until the program ends. */
    alignas(resource) static unsigned char place[sizeof(resource)];
    static std::pmr::memory_resource *const only = ::new (static_cast<void *>(place)) resource;
    return only;
}

/** Destroys an object of make_unique and frees its block. */
template <class T>
class deleter {
public:
    /** Over an allocator of memoman.h. */
    explicit deleter(mm_allocator_t *source = nullptr) noexcept : handle_(source) {}

    void operator()(T *object) const noexcept {
        object->~T();
        mm_free(handle_, object);
    }

    /** For the functions of memoman.h. */
    mm_allocator_t *handle() const noexcept { return handle_; }

private:
    mm_allocator_t *handle_;
};

/** An owned object in a heap, which must outlive it. */
template <class T>
using unique_ptr = std::unique_ptr<T, deleter<T>>;

/** An object in `source`, made from `arguments`. Throws std::bad_alloc. */
template <class T, class... Arguments>
[[nodiscard]] unique_ptr<T> make_unique(const heap &source, Arguments &&...arguments) {
    static_assert(!std::is_array_v<T>, "one object: for many, use a container");
    struct release {
        mm_allocator_t *handle;
        void operator()(void *block) const noexcept { mm_free(handle, block); }
    };
    /* Freed if the constructor throws. */
    std::unique_ptr<void, release> block(
        detail::allocate(source.handle(), sizeof(T), alignof(T)), release{source.handle()});
    T *object = ::new (block.get()) T(std::forward<Arguments>(arguments)...);
    (void)block.release();
    return unique_ptr<T>(object, deleter<T>(source.handle()));
}

} // namespace memoman

#endif /* C++17 */
#endif /* MEMOMAN_HPP */
