// Messages between two threads with std::pmr: every string, vector and map of a message lives in
// the channel's heap. It shows that the standard containers work in a fixed budget, that the global
// heap is not used once the channel exists, and that a full channel throws an exception and harms
// nothing.
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory_resource>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <memoman.hpp>

#include "../support/example.h"

namespace {

// A memoman::memory_resource for more than one thread.
class shared_resource final : public std::pmr::memory_resource {
public:
    shared_resource(void *memory, std::size_t bytes) : heap_(memory, bytes), resource_(heap_) {}

    mm_stats_t stats() const {
        std::lock_guard<std::mutex> hold(lock_);
        return heap_.stats();
    }
    bool is_sound() const {
        std::lock_guard<std::mutex> hold(lock_);
        return heap_.validate();
    }

private:
    void *do_allocate(std::size_t bytes, std::size_t align) override {
        std::lock_guard<std::mutex> hold(lock_);
        return resource_.allocate(bytes, align);
    }
    void do_deallocate(void *ptr, std::size_t bytes, std::size_t align) override {
        std::lock_guard<std::mutex> hold(lock_);
        resource_.deallocate(ptr, bytes, align);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        return this == &other;
    }

    memoman::heap heap_;
    memoman::memory_resource resource_;
    mutable std::mutex lock_;
};

struct message {
    using allocator_type = std::pmr::polymorphic_allocator<std::byte>;
    explicit message(allocator_type allocator)
        : topic(allocator), samples(allocator), labels(allocator) {}
    message(message &&other, allocator_type allocator)
        : topic(std::move(other.topic), allocator), samples(std::move(other.samples), allocator),
          labels(std::move(other.labels), allocator) {}

    std::pmr::string topic;
    std::pmr::vector<double> samples;
    std::pmr::map<std::pmr::string, int> labels;
};

class channel {
public:
    explicit channel(std::pmr::memory_resource &resource) : waiting_(&resource) {}

    void send(message &&sent) {
        std::unique_lock<std::mutex> hold(lock_);
        changed_.wait(hold, [this] { return waiting_.size() < 8; });
        waiting_.push_back(std::move(sent));
        changed_.notify_all();
    }
    template <typename Use> void receive(Use use) {
        std::unique_lock<std::mutex> hold(lock_);
        changed_.wait(hold, [this] { return !waiting_.empty(); });
        message received(std::move(waiting_.front()), waiting_.get_allocator().resource());
        waiting_.pop_front();
        changed_.notify_all();
        hold.unlock();
        use(received);
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    std::pmr::deque<message> waiting_;
};

constexpr int MESSAGES = 20000;
alignas(64) unsigned char memory[512 * 1024];

message make(std::pmr::memory_resource &resource, int number) {
    message made{&resource};
    made.topic = "temperature of the boiler, reading number ";
    made.topic += std::pmr::string(static_cast<std::size_t>(number % 40), '.', &resource);
    for (int i = 0; i <= number % 50; i++) made.samples.push_back(number + i);
    made.labels.emplace("a label that is too long for the short string", number);
    made.labels.emplace("unit", 1);
    return made;
}

}  // namespace

int main() {
    std::printf("%d messages between two threads, channel of %zu bytes\n", MESSAGES, sizeof memory);
    shared_resource resource(memory, sizeof memory);
    // A container without a named resource fails: the default resource allocates nothing.
    std::pmr::set_default_resource(std::pmr::null_memory_resource());
    double sum = 0, expected = 0;
    int wrong = 0;
    unsigned long asked = 0;
    {
        channel pipe(resource);
        unsigned long start = 0;
        std::thread consumer([&] {
            // std::thread itself has allocated; from the first message on no thread may.
            for (int number = 0; number < MESSAGES; number++) {
                pipe.receive([&](const message &received) {
                    if (number == 0) start = libc_calls();
                    for (double sample : received.samples) sum += sample;
                    wrong += received.samples.size() != static_cast<std::size_t>(number % 50 + 1);
                    wrong += received.labels.at(std::pmr::string("unit", &resource)) != 1;
                });
            }
            asked = libc_calls() - start;
        });
        for (int number = 0; number < MESSAGES; number++) pipe.send(make(resource, number));
        consumer.join();
    }
    for (int number = 0; number < MESSAGES; number++)
        for (int i = 0; i <= number % 50; i++) expected += number + i;
    REQUIRE(wrong == 0 && sum == expected);
    REQUIRE(asked == 0);
    mm_stats_t stats = resource.stats();
    proved("every message arrived whole; not one call of the C library's malloc on any thread");
    std::printf("          at most %zu of %zu bytes in use\n", stats.peak, stats.pool_bytes);
    REQUIRE(stats.live_blocks == 0 && resource.is_sound());
    proved("the channel is destroyed, and every block is freed");

    bool refused = false;
    std::size_t kept = 0;
    {
        std::pmr::vector<std::pmr::string> hoard(&resource);
        try {
            for (;;) hoard.emplace_back(1000, 'x');
        } catch (const std::bad_alloc &) {
            refused = true;
            kept = hoard.size();
            for (const auto &text : hoard) REQUIRE(text.size() == 1000 && text.back() == 'x');
        }
    }
    REQUIRE(refused && kept > 100 && resource.stats().live_blocks == 0 && resource.is_sound());
    proved("a full heap throws std::bad_alloc; the %zu strings in it were unharmed and are freed",
           kept);
    return 0;
}
