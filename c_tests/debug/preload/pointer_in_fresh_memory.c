// A program that follows a pointer read from memory that it has never written.
// expect-signal: SIGSEGV
#include "../../preload/check.h"

struct node {
    struct node *next;
    int value;
};

int main(void) {
    struct node *node = opaque(malloc(sizeof *node));
    node->value = 1;
    CHECK((uintptr_t)((struct node *)opaque(node))->next >> 47 != 0); /* no valid address */
    passed("a_pointer_that_was_never_written_is_about_to_be_followed");
    return node->next->value;
}
