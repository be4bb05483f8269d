// A sanitizer's runtime that allocates for the stack of a report, and meets misuse: the second
// report has none.
// link: -rdynamic
// expect-signal: SIGABRT
// expect-stderr: the stack
#include "check.h"

void __sanitizer_print_stack_trace(void) {
    static const char text[] = "the stack\n";
    if (write(2, text, sizeof text - 1) < 0) _exit(9);
    passed("a_second_report_ends_the_process");
    char *again = malloc(40);
    free(again);
    free(opaque(again));
    _exit(8);
}

int main(void) {
    char *p = malloc(40);
    free(p);
    free(opaque(p));
    return 0;
}
