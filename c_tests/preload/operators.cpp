// C++: every form of new and delete, the new_handler's loop, bad_alloc, containers.
#include "check.h"
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>
#include <sys/resource.h>

namespace {

struct alignas(256) Wide {
    char bytes[512];
};

int handled = 0;
void *ballast = nullptr;

// Frees the ballast at its first call; then removes itself.
void handler() {
    if (++handled == 1) {
        ::operator delete(ballast);
        ballast = nullptr;
    } else {
        std::set_new_handler(nullptr);
    }
}

void forms() {
    for (int i = 0; i < 1000; i++) {
        ::operator delete(::operator new(100));
        ::operator delete[](::operator new[](100));
        ::operator delete(::operator new(100), std::size_t{100});
        ::operator delete[](::operator new[](100), std::size_t{100});
        ::operator delete(::operator new(100, std::nothrow), std::nothrow);
        ::operator delete[](::operator new[](100, std::nothrow), std::nothrow);
        auto align = std::align_val_t{128};
        void *p = ::operator new(100, align);
        CHECK(reinterpret_cast<std::uintptr_t>(p) % 128 == 0);
        ::operator delete(p, align);
        ::operator delete[](::operator new[](100, align), align);
        ::operator delete(::operator new(100, align), std::size_t{100}, align);
        ::operator delete[](::operator new[](100, align), std::size_t{100}, align);
        p = ::operator new(100, align, std::nothrow);
        CHECK(reinterpret_cast<std::uintptr_t>(p) % 128 == 0);
        ::operator delete(p, align, std::nothrow);
        ::operator delete[](::operator new[](100, align, std::nothrow), align, std::nothrow);
        void *a = ::operator new(0), *b = ::operator new(0);
        CHECK(a && b && a != b);
        ::operator delete(a);
        ::operator delete(b);
        auto wide = std::make_unique<Wide[]>(3);
        CHECK(reinterpret_cast<std::uintptr_t>(wide.get()) % 256 == 0);
    }
    passed("every_form_of_new_and_delete");
}

// volatile: the compiler must not see that the size is impossible.
volatile std::size_t huge = PTRDIFF_MAX / 2;

void failures() {
    int thrown = 0;
    for (int form = 0; form < 4; form++) {
        try {
            void *p = form == 0   ? ::operator new(huge)
                      : form == 1 ? ::operator new[](huge)
                      : form == 2 ? ::operator new(huge, std::align_val_t{64})
                                  : ::operator new[](huge, std::align_val_t{64});
            CHECK(p == nullptr && !"returned");
        } catch (const std::bad_alloc &) {
            thrown++;
        }
    }
    CHECK(thrown == 4);
    passed("bad_alloc_is_thrown");
    CHECK(::operator new(huge, std::nothrow) == nullptr);
    CHECK(::operator new[](huge, std::nothrow) == nullptr);
    CHECK(::operator new(huge, std::align_val_t{64}, std::nothrow) == nullptr);
    CHECK(::operator new[](huge, std::align_val_t{64}, std::nothrow) == nullptr);
    passed("nothrow_gives_null");
}

void handlers() {
    struct rlimit limit = {700u << 20, 700u << 20};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    ballast = ::operator new(400u << 20);
    std::set_new_handler(handler);
    void *p = ::operator new(450u << 20);
    CHECK(p != nullptr && handled == 1);
    ::operator delete(p);
    passed("new_handler_frees_and_new_succeeds");
    ballast = ::operator new(400u << 20);
    handled = 1;
    bool thrown = false;
    try {
        p = ::operator new(450u << 20);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown && handled == 2);
    ::operator delete(ballast);
    passed("new_handler_gives_up_and_bad_alloc_is_thrown");
}

void containers() {
    std::map<std::string, std::vector<int>> map;
    for (int i = 0; i < 20000; i++)
        map["a key that is longer than the small buffer " + std::to_string(i % 997)].push_back(i);
    std::size_t sum = 0;
    for (const auto &entry : map) sum += entry.second.size();
    CHECK(sum == 20000 && map.size() == 997);
    std::shared_ptr<std::string> shared = std::make_shared<std::string>(10000, 'x');
    std::weak_ptr<std::string> weak = shared;
    shared.reset();
    CHECK(weak.expired());
    try {
        throw std::string(1000, 'y');
    } catch (const std::string &text) {
        CHECK(text.size() == 1000);
    }
    passed("containers_and_exceptions");
}

thread_local std::vector<int> per_thread(1000, 7);

} // namespace

int main() {
    forms();
    containers();
    failures();
    CHECK(per_thread.size() == 1000);
    handlers();
    return 0;
}
