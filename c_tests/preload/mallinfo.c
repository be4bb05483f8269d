// mallinfo2 and malloc_info: large blocks, free blocks, blocks in the cache; valid XML.
#include "check.h"
#include <malloc.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* The number behind `name` in the last element of the text that begins with `element`. */
static size_t figure(const char *text, const char *element, const char *name) {
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, element)) != NULL; at++) last = at;
    CHECK(last);
    const char *value = strstr(last, name);
    CHECK(value && value < strchr(last, '>'));
    return strtoul(value + strlen(name), NULL, 10);
}

/* Every element that is opened is closed. */
static int is_balanced(const char *text) {
    int depth = 0;
    for (const char *at = text; (at = strchr(at, '<')) != NULL; at++) {
        const char *end = strchr(at, '>');
        if (end == NULL) return 0;
        if (at[1] == '/')
            depth--;
        else if (end[-1] != '/')
            depth++;
        if (depth < 0) return 0;
    }
    return depth == 0;
}

int main(void) {
    void *blocks[21];
    for (int i = 1; i <= 20; i++) CHECK((blocks[i] = malloc((size_t)160 * i)));
    struct mallinfo2 before = mallinfo2();
    free(blocks[10]);
    struct mallinfo2 freed = mallinfo2();
    CHECK(before.ordblks >= 1 && freed.ordblks == before.ordblks + 1);
    CHECK(freed.uordblks < before.uordblks && freed.uordblks + 1600 <= before.uordblks);
    CHECK(freed.fordblks - before.fordblks == before.uordblks - freed.uordblks);
    CHECK(freed.arena == before.arena && freed.smblks <= freed.ordblks);
    CHECK(freed.fsmblks <= freed.fordblks && freed.uordblks + freed.fordblks <= freed.arena);
    passed("mallinfo2_counts_free_blocks");

    /* Too large to be cached; each between two live ones, or one and free memory. */
    enum { MANY = 400 };
    static void *many[MANY];
    for (int i = 0; i < MANY; i++) CHECK((many[i] = malloc(20000)));
    before = mallinfo2();
    for (int i = 0; i < MANY; i += 2) free(many[i]);
    freed = mallinfo2();
    CHECK(freed.ordblks >= before.ordblks + MANY / 4 &&
          freed.ordblks <= before.ordblks + MANY / 2);
    for (int i = 1; i < MANY; i += 2) free(many[i]);
    CHECK(mallinfo2().ordblks < freed.ordblks);
    passed("mallinfo2_counts_them_again_after_merging");

    before = mallinfo2();
    char *large = malloc((size_t)64 << 20), *other = malloc((size_t)3 << 20);
    CHECK(large && other);
    struct mallinfo2 with = mallinfo2();
    CHECK(with.hblks == before.hblks + 2 && with.hblkhd >= before.hblkhd + ((size_t)67 << 20));
    CHECK(with.hblkhd < before.hblkhd + ((size_t)68 << 20));
    CHECK(with.uordblks <= before.uordblks + 4096 && with.arena < before.arena + (8 << 20));
    CHECK(mallinfo().hblks == (int)with.hblks && mallinfo().hblkhd == (int)with.hblkhd);

    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    CHECK(file);
    with = mallinfo2();
    errno = 77;
    CHECK(malloc_info(1, file) == EINVAL && errno == 77);
    CHECK(malloc_info(0, file) == 0);
    fclose(file);
    CHECK(strncmp(text, "<malloc version=\"1\">\n", 21) == 0 && is_balanced(text));
    CHECK(strstr(text, "<heap nr=\"0\">") && strcmp(text + bytes - 10, "</malloc>\n") == 0);
    CHECK(figure(text, "<total type=\"mmap\"", "count=\"") == with.hblks);
    CHECK(figure(text, "<total type=\"mmap\"", "size=\"") == with.hblkhd);
    CHECK(figure(text, "<system type=\"current\"", "size=\"") == with.arena);
    size_t fast = figure(text, "<total type=\"fast\"", "size=\"");
    size_t rest = figure(text, "<total type=\"rest\"", "size=\"");
    CHECK(fast + rest <= with.fordblks + 65536 && fast + rest + 65536 >= with.fordblks);
    CHECK(figure(text, "<total type=\"rest\"", "count=\"") > 0);
    free(text);
    passed("malloc_info_prints_the_figures");

    free(large), free(other);
    struct mallinfo2 after = mallinfo2();
    CHECK(after.hblks == before.hblks && after.hblkhd == before.hblkhd);
    passed("mallinfo2_counts_large_blocks");
    CHECK(mallopt(M_MXFAST, 64) == 1 && mallopt(M_MXFAST, 1000) == 0 && mallopt(99, 1) == 1);
    passed("mallopt_refuses_what_glibc_refuses");
    return 0;
}
