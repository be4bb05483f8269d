/* Records of a handle heap in a static array, by memoman/record.h, into sends.mmr. */
#include <memoman.h>
#include <memoman/record.h>
#include <stdio.h>
static size_t control[1024], pool[8192];
static void send(const void *record, size_t bytes, void *user) { fwrite(record, 1, bytes, user); }
int main(void) {
    static mm_recorder_t recorder = {.write = send};
    void *live[64] = {NULL};
    unsigned state = 1;
    mm_allocator_t *heap = mm_create_for(control, 4096);
    if (heap == NULL || mm_add_pool(heap, pool, sizeof pool) == NULL) return 1;
    recorder.user = fopen("sends.mmr", "wb");
    if (recorder.user == NULL || !mm_record_start(&recorder, heap)) return 2;
    for (int i = 0; i < 3000; i++) {
        state = state * 1103515245 + 12345;
        void **slot = &live[state >> 20 & 63];
        if (*slot == NULL) {
            *slot = mm_malloc(heap, 8 + (state >> 8) % 1500);
        } else if (state >> 30 == 0) {
            void *moved = mm_realloc(heap, *slot, 8 + (state >> 8) % 3000);
            if (moved != NULL) *slot = moved;
        } else {
            mm_free(heap, *slot);
            *slot = NULL;
        }
    }
    return fclose(recorder.user);
}
