// A report's backtrace, taken by the C library, leads through the shim to the caller.
// link: -rdynamic
#include "check.h"
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>

static void aborted(int signal) {
    void *frames[32];
    int count = backtrace(frames, 32), found = 0;
    (void)signal;
    for (int i = 0; i < count; i++) {
        Dl_info at;
        if (dladdr(frames[i], &at) && at.dli_sname && !strcmp(at.dli_sname, "main")) found = 1;
    }
    CHECK(found);
    passed("a_backtrace_leads_to_the_caller");
    _exit(0);
}

int main(void) {
    void *frames[2];
    CHECK(backtrace(frames, 2) > 0); /* The unwinder's library is loaded before the report. */
    signal(SIGABRT, aborted);
    char *p = malloc(40);
    free(p);
    free(opaque(p));
    return 1;
}
