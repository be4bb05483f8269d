// A program that follows a pointer read from freed memory.
// expect-signal: SIGSEGV
#include "../../preload/check.h"

struct node {
    struct node *next;
    int value;
};

int main(void) {
    struct node *node = opaque(malloc(sizeof *node)), *other = opaque(malloc(sizeof *other));
    node->next = other;
    other->value = 1;
    CHECK(node->next->value == 1);
    free(node);
    CHECK((uintptr_t)((struct node *)opaque(node))->next >> 47 != 0); /* no valid address */
    passed("a_pointer_read_from_freed_memory_is_about_to_be_followed");
    return ((struct node *)opaque(node))->next->value;
}
