/*
 * multi_heap_memoman.c under stubs of ESP-IDF, linked as in a project, on a RISC-V board of QEMU:
 * what heap_caps expects of multi_heap.h, as assertions.
 */
#include "../firmware/require.h"

#include <esp_rom_sys.h>
#include <freertos/FreeRTOS.h>
#include <multi_heap.h>
#include <stdlib.h>

static unsigned char memory[16 * 1024];
static portMUX_TYPE mutex;
static int entered, lines;
static bool is_last_test;

void stub_enter(portMUX_TYPE *taken) {
    REQUIRE(taken == &mutex && mutex.taken == 0);
    mutex.taken = 1;
    entered++;
}
void stub_exit(portMUX_TYPE *taken) {
    REQUIRE(taken == &mutex && mutex.taken == 1);
    mutex.taken = 0;
}
int esp_rom_printf(const char *format, ...) {
    (void)format;
    return ++lines;
}
_Noreturn void abort(void) {
    /* The double free of the last test. */
    if (is_last_test) host_print("sound\n");
    host_exit(is_last_test ? 0 : 1);
}

static size_t visited;
static bool visit(void *block, size_t bytes, int used, void *user) {
    REQUIRE(block != NULL && bytes >= 12 && (used == 0 || used == 1));
    return ++visited < *(size_t *)user;
}

static void serves_and_takes_back(multi_heap_handle_t heap) {
    size_t whole = multi_heap_free_size(heap);
    REQUIRE(whole > sizeof memory * 8 / 10);
    unsigned char *a = multi_heap_malloc(heap, 100);
    unsigned char *b = multi_heap_aligned_alloc(heap, 100, 256);
    REQUIRE(a != NULL && b != NULL && (uintptr_t)b % 256 == 0);
    REQUIRE(multi_heap_malloc(heap, 0) == NULL && multi_heap_malloc(heap, whole) == NULL);
    REQUIRE(multi_heap_get_allocated_size(heap, a) >= 100);
    for (int i = 0; i < 100; i++) a[i] = 5;
    a = multi_heap_realloc(heap, a, 4000);
    REQUIRE(a != NULL && a[0] == 5 && a[99] == 5);
    REQUIRE(multi_heap_find_containing_block(heap, a + 50) == a);
    REQUIRE(multi_heap_find_containing_block(heap, memory) == NULL);
    multi_heap_info_t info;
    multi_heap_get_info(heap, &info);
    REQUIRE(info.allocated_blocks == 2 && info.total_allocated_bytes >= 4100);
    REQUIRE(info.total_blocks == info.allocated_blocks + info.free_blocks);
    REQUIRE(info.total_free_bytes == multi_heap_free_size(heap));
    REQUIRE(info.minimum_free_bytes == multi_heap_minimum_free_size(heap));
    void *largest = multi_heap_malloc(heap, info.largest_free_block);
    REQUIRE(largest != NULL);
    size_t lowest = multi_heap_free_size(heap);
    multi_heap_free(heap, largest);
    multi_heap_free(heap, a);
    multi_heap_free(heap, b);
    multi_heap_free(heap, NULL);
    REQUIRE(multi_heap_free_size(heap) == whole);
    REQUIRE(multi_heap_reset_minimum_free_bytes(heap) == lowest);
    REQUIRE(multi_heap_minimum_free_size(heap) == whole);
}

static void is_inspected(multi_heap_handle_t heap) {
    void *block = multi_heap_malloc(heap, 24);
    size_t most = 10;
    multi_heap_walk(heap, visit, &most);
    REQUIRE(visited == 2);
    most = 1, visited = 0;
    multi_heap_walk(heap, visit, &most);
    REQUIRE(visited == 1 && lines == 0);
    multi_heap_dump(heap);
    REQUIRE(lines == 3 && multi_heap_check(heap, true) && lines == 3);
    /* An overflow. */
    size_t *header = (size_t *)block + 7, old = *header;
    *header = 0x41414141;
    REQUIRE(!multi_heap_check(heap, true) && lines == 4);
    *header = old;
    REQUIRE(multi_heap_check(heap, true));
    multi_heap_free(heap, block);
}

int main(void) {
    REQUIRE(multi_heap_register(memory, 64) == NULL);
    multi_heap_handle_t heap = multi_heap_register(memory + 1, sizeof memory - 1);
    REQUIRE(heap != NULL);
    multi_heap_free(heap, multi_heap_malloc(heap, 8));
    REQUIRE(entered == 0);
    multi_heap_set_lock(heap, &mutex);
    serves_and_takes_back(heap);
    is_inspected(heap);
    REQUIRE(entered > 10 && mutex.taken == 0);
    void *block = multi_heap_malloc(heap, 8);
    multi_heap_free(heap, block);
    is_last_test = true;
    multi_heap_free(heap, block);
    return 2;
}
