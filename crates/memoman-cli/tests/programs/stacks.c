/* Stacks that share frames, grow, shrink and change place. Each size says which stack it had. */
#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define APART __attribute__((noinline, noclone))
enum { ROUNDS = 50 };
static volatile int sink;

static APART void leaf(size_t size)
{
    void *volatile block = malloc(size);
    free(block);
    sink++;
}
/* Frames of one size: the return address into `shared` is at the same place for both callers. */
static APART void shared(size_t size)
{
    leaf(size);
    sink++;
}
static APART void by_one(size_t size)
{
    shared(size);
    sink++;
}
static APART void by_other(size_t size)
{
    shared(size);
    sink++;
}

static APART void recurse(int depth, size_t size)
{
    if (depth > 1)
        recurse(depth - 1, size);
    else
        leaf(size);
    sink++;
}

/* The frame's size is known at run time only: its caller is found by the frame pointer. */
static APART void varying(size_t bytes, size_t size)
{
    char *room = alloca(bytes);
    memset(room, 1, bytes);
    leaf(size);
    sink += room[bytes - 1];
}

static ucontext_t outside, inside;
static char other_stack[1 << 16];
static APART void on_other_stack(void)
{
    for (;;) {
        leaf(1500);
        swapcontext(&inside, &outside);
    }
}
static APART void switches(void)
{
    leaf(1501);
    swapcontext(&outside, &inside);
    sink++;
}

int main(void)
{
    getcontext(&inside);
    inside.uc_stack.ss_sp = other_stack;
    inside.uc_stack.ss_size = sizeof other_stack;
    makecontext(&inside, on_other_stack, 0);
    for (int i = 0; i < ROUNDS; i++) {
        by_one(1101);
        by_other(1102);
        by_one(1101);
        for (int turn = 0; turn < 60; turn++) {
            int depth = (turn * 23 + i) % 60 + 1;
            recurse(depth, 1200 + depth);
        }
        varying(16 + i * 32, 1400);
        switches();
    }
    return sink == 0;
}
