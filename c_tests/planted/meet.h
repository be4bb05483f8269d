/* Lets two threads start together without an ordering that a race detector would see. */
#ifndef PLANTED_MEET_H
#define PLANTED_MEET_H
#include <sched.h>

static int planted_arrived;

static inline void planted_meet(void) {
    __atomic_add_fetch(&planted_arrived, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&planted_arrived, __ATOMIC_RELAXED) < 2) sched_yield();
}

#endif
