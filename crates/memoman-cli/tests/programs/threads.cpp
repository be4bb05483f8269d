#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
// One thread makes strings, the other ends them.
int main(int, char **argv) {
    std::queue<std::string> queue;
    std::mutex mutex;
    std::condition_variable ready;
    const int count = std::atoi(argv[1]);
    std::thread taker([&] {
        for (int i = 0; i < count; i++) {
            std::unique_lock<std::mutex> lock(mutex);
            ready.wait(lock, [&] { return !queue.empty(); });
            std::string taken = std::move(queue.front());
            queue.pop();
        }
    });
    for (int i = 0; i < count; i++) {
        std::string made(20 + i * 7919 % 3000, 'x');
        std::lock_guard<std::mutex> lock(mutex);
        queue.push(std::move(made));
        ready.notify_one();
    }
    taker.join();
}
