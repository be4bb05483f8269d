// A program that replaces the basic forms of new and delete only: the other forms, of the program
// and of its libraries, lead to these.
// library: sized_delete.cpp
// link: -l:sized_delete.so -Wl,-rpath,$ORIGIN
#include "check.h"
#include <new>
#include <string>
#include <vector>

#pragma GCC diagnostic ignored "-Wsized-deallocation"

static int news = 0, deletes = 0, refused = 0;

// Blocks lie behind a mark, so that no other free takes them.
void *operator new(std::size_t bytes) {
    if (bytes == 13) {
        refused++;
        throw std::bad_alloc();
    }
    news++;
    char *block = static_cast<char *>(std::malloc(bytes + 64));
    if (!block) throw std::bad_alloc();
    *reinterpret_cast<std::size_t *>(block) = 0xC0FFEE;
    return block + 64;
}

void operator delete(void *pointer) noexcept {
    if (!pointer) return;
    deletes++;
    char *block = static_cast<char *>(pointer) - 64;
    CHECK(*reinterpret_cast<std::size_t *>(block) == 0xC0FFEE);
    std::free(block);
}

void library_deletes(void *pointer), library_deletes_array(void *pointer);
void *library_news(), *library_news_array();

int main() {
    int before = news;
    for (int i = 0; i < 100; i++) {
        ::operator delete(::operator new(100));
        ::operator delete(::operator new(100), std::size_t{100});
        ::operator delete(::operator new(100, std::nothrow), std::nothrow);
        ::operator delete[](::operator new[](100));
        ::operator delete[](::operator new[](100), std::size_t{100});
        ::operator delete[](::operator new[](100, std::nothrow), std::nothrow);
        library_deletes(::operator new(100));
        library_deletes_array(::operator new[](100));
        ::operator delete(library_news());
        ::operator delete[](library_news_array());
    }
    CHECK(news == before + 1000 && deletes >= 1000);
    passed("derived_operators_call_the_programs_basic_ones");
    before = news;
    std::vector<std::string> many(100, std::string(100, 'x'));
    CHECK(news == before + 101 || news == before + 102);
    passed("containers_call_the_programs_operators");
    CHECK(::operator new(13, std::nothrow) == nullptr);
    CHECK(::operator new[](13, std::nothrow) == nullptr);
    int thrown = 0;
    try {
        CHECK(::operator new[](13) == nullptr && !"returned");
    } catch (const std::bad_alloc &) {
        thrown++;
    }
    CHECK(refused == 3 && thrown == 1);
    passed("nothrow_operators_catch_what_the_programs_new_throws");
    // The forms for over-aligned types do not derive from the replaced ones.
    before = news;
    auto align = std::align_val_t{128};
    ::operator delete(::operator new(100, align), align);
    ::operator delete[](::operator new[](100, align), std::size_t{100}, align);
    ::operator delete(::operator new(100, align, std::nothrow), align, std::nothrow);
    CHECK(news == before);
    passed("aligned_operators_do_not");
    return 0;
}
