// The stack of a report, from a sanitizer's runtime: here from a function of that name.
// link: -rdynamic
// expect-signal: SIGABRT
// expect-stderr: the stack
#include "check.h"

void __sanitizer_print_stack_trace(void) {
    static const char text[] = "the stack\n";
    if (write(2, text, sizeof text - 1) < 0) _exit(9);
    passed("a_report_is_followed_by_the_sanitizers_stack");
}

int main(void) {
    char *p = malloc(40);
    free(p);
    free(opaque(p));
    return 0;
}
