/* Every state of every call, once, each in a fresh bed. `make wcet` runs it under callgrind. */
#include "bed.h"

static void run_all(const struct state_of_call *states) {
    for (; states->name; states++) {
        state(states->name);
        struct bed bed = bed_fresh();
        EXPECT(&bed, "f");
        states->run(&bed);
        EXPECT(&bed, "f");
        REQUIRE(mm_validate(bed.a));
    }
}

int main(void) {
    measure_frame();
    run_all(states_of_malloc);
    run_all(states_of_free);
    run_all(states_of_realloc);
    run_all(states_of_others);
    run_all(states_of_cache);
    return 0;
}
