/* Lets two threads start together without a word that orders them for a race detector. */
#ifndef PLANTED_MEET_H
#define PLANTED_MEET_H
#include <sched.h>

static int planted_arrived;

static inline void planted_meet(void) {
    __atomic_add_fetch(&planted_arrived, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&planted_arrived, __ATOMIC_RELAXED) < 2) sched_yield();
}

#endif
