/*
 * The heap of the page "Play with a heap": what JavaScript cannot do by itself is give the library
 * functions to call. The page calls mm_malloc and the others directly, with heap() as the handle.
 *
 * Built by scripts/docs.sh for wasm32, without a C library.
 */
#include <memoman.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define HEAP_BYTES (64 * 1024)
/* A heap full of the smallest blocks: 4,096 lines of the dump, each under 80 bytes. */
#define TEXT_BYTES (384 * 1024)

static _Alignas(16) unsigned char memory[HEAP_BYTES];
/* Beside the heap, for the step that frees a pointer of another allocator. */
static _Alignas(16) unsigned char elsewhere[64];
static mm_allocator_t *handle;

static char text[TEXT_BYTES];
static size_t text_used;

static const char *message;
static const void *fault;

static int write_text(const char *from, size_t bytes, void *user) {
    (void)user;
    if (bytes > TEXT_BYTES - text_used) return 0;
    for (size_t i = 0; i < bytes; i++) text[text_used++] = from[i];
    return 1;
}

static void on_misuse(const char *what, const void *ptr, void *user) {
    (void)user;
    message = what;
    fault = ptr;
}

/* A new heap in the array, all of it zero before. */
EXPORT(start) int start(void) {
    for (size_t i = 0; i < HEAP_BYTES; i++) memory[i] = 0;
    message = NULL;
    handle = mm_create_with_pool(memory, sizeof memory);
    mm_set_error_handler(handle, on_misuse, NULL);
    return handle != NULL;
}

EXPORT(heap) mm_allocator_t *heap(void) { return handle; }
EXPORT(array) unsigned char *array(void) { return memory; }
EXPORT(array_bytes) size_t array_bytes(void) { return sizeof memory; }
EXPORT(foreign) unsigned char *foreign(void) { return elsewhere; }

/* The heap as JSON lines at text_at(); returns their bytes. */
EXPORT(dump) size_t dump(void) {
    text_used = 0;
    mm_dump(handle, write_text, NULL, MM_DUMP_JSON);
    return text_used;
}
EXPORT(text_at) const char *text_at(void) { return text; }

/* What the error handler was given since the last call; NULL if it was not called. */
EXPORT(reported) const char *reported(void) {
    const char *last = message;
    message = NULL;
    return last;
}
EXPORT(reported_at) const void *reported_at(void) { return fault; }
