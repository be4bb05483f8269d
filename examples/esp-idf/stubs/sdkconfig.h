/*
 * The part of ESP-IDF's headers that a heap uses, declared as in its programming guide: stubs to
 * compile and test multi_heap_memoman.c without the framework. Your project has the real headers.
 */
#define CONFIG_HEAP_POISONING_DISABLED 1
