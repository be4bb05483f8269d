/* An allocator that only counts up: safe in signal handlers. It serves C++'s operators itself, and
   stands for memoman's handle API too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
static char memory[1 << 30] __attribute__((aligned(4096)));
static size_t used;
static void *take(size_t align, size_t bytes)
{
    if (bytes > sizeof memory) return NULL;
    size_t room = bytes + 32 + align;
    size_t at = __atomic_fetch_add(&used, (room + 15) & ~(size_t)15, __ATOMIC_RELAXED);
    if (at + room > sizeof memory) return NULL;
    char *block = memory + ((at + 16 + align - 1) & ~(align - 1));
    memcpy(block - sizeof bytes, &bytes, sizeof bytes);
    return block;
}
void *malloc(size_t bytes) { return take(16, bytes); }
void *calloc(size_t count, size_t size) { return take(16, count * size); }
void free(void *block) { (void)block; }
void *memalign(size_t align, size_t bytes) { return take(align < 16 ? 16 : align, bytes); }
void *aligned_alloc(size_t align, size_t bytes) { return memalign(align, bytes); }
int posix_memalign(void **place, size_t align, size_t bytes)
{
    *place = memalign(align, bytes);
    return *place ? 0 : 12;
}
void *realloc(void *block, size_t bytes)
{
    void *new = take(16, bytes);
    size_t old;
    if (new && block) {
        memcpy(&old, (char *)block - sizeof old, sizeof old);
        memcpy(new, block, old < bytes ? old : bytes);
    }
    return new;
}
/* Without memory: the C++ runtime's, which throws. */
void *_Znwm(size_t bytes)
{
    void *block = take(16, bytes);
    if (block) return block;
    return ((void *(*)(size_t))dlsym(RTLD_NEXT, "_Znwm"))(bytes);
}
void _ZdlPv(void *block) { (void)block; }
void _ZdlPvm(void *block, size_t bytes) { (void)block, (void)bytes; }
void *_ZnwmSt11align_val_t(size_t bytes, size_t align) { return memalign(align, bytes); }
void _ZdlPvmSt11align_val_t(void *block, size_t bytes, size_t align)
{
    (void)block, (void)bytes, (void)align;
}

void *mm_create_with_pool(void *memory, size_t bytes) { return bytes > 64 ? memory : NULL; }
/* As memoman's library does, these call each other by name. */
void *mm_malloc(void *heap, size_t bytes) { return heap && bytes ? take(16, bytes) : NULL; }
void *mm_memalign(void *heap, size_t align, size_t bytes)
{
    if (!align || align & (align - 1)) return NULL;
    return heap && bytes ? take(align < 16 ? 16 : align, bytes) : NULL;
}
void mm_free(void *heap, void *block) { (void)heap, (void)block; }
void *mm_realloc_aligned(void *heap, void *block, size_t align, size_t bytes)
{
    if (!block) return mm_memalign(heap, align, bytes);
    if (!align || align & (align - 1)) return NULL;
    if (!bytes) {
        mm_free(heap, block);
        return NULL;
    }
    return take(align < 16 ? 16 : align, bytes);
}
void *mm_realloc(void *heap, void *block, size_t bytes)
{
    if (!heap) return NULL;
    if (!block) return mm_malloc(heap, bytes);
    if (!bytes) {
        mm_free(heap, block);
        return NULL;
    }
    return realloc(block, bytes);
}
size_t mm_block_size(const void *block)
{
    size_t bytes;
    memcpy(&bytes, (const char *)block - sizeof bytes, sizeof bytes);
    return (bytes + 15) & ~(size_t)15;
}
int mm_reset(void *heap) { return heap != NULL; }
void *mm_malloc_global(size_t bytes) { return take(16, bytes); }
void mm_free_global(void *block) { (void)block; }
