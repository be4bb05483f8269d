// Calls derived forms of new and delete: see own_operators.cpp.
#include <new>

void library_deletes(void *pointer) { ::operator delete(pointer, std::size_t{100}); }
void library_deletes_array(void *pointer) { ::operator delete[](pointer, std::size_t{100}); }
void *library_news() { return ::operator new(100, std::nothrow); }
void *library_news_array() { return ::operator new[](100, std::nothrow); }
