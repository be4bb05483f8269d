/*
 * The part of Zephyr's kernel.h that a heap uses, declared as in its reference: stubs to compile
 * and test memoman_heap.c without the kernel. Your project has the real headers.
 */
#ifndef ZEPHYR_INCLUDE_KERNEL_H_
#define ZEPHYR_INCLUDE_KERNEL_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define __aligned(bytes) __attribute__((aligned(bytes)))
#define ARG_UNUSED(argument) (void)(argument)

typedef struct { int64_t ticks; } k_timeout_t;
typedef struct { uint64_t tick; } k_timepoint_t;
#define K_NO_WAIT ((k_timeout_t){0})
#define K_FOREVER ((k_timeout_t){-1})
#define K_TICKS(count) ((k_timeout_t){(count)})
#define K_TIMEOUT_EQ(one, other) ((one).ticks == (other).ticks)
k_timepoint_t sys_timepoint_calc(k_timeout_t timeout);
k_timeout_t sys_timepoint_timeout(k_timepoint_t timepoint);

struct k_spinlock { char unused; };
typedef struct { int key; } k_spinlock_key_t;
k_spinlock_key_t k_spin_lock(struct k_spinlock *lock);
void k_spin_unlock(struct k_spinlock *lock, k_spinlock_key_t key);

struct k_sem { unsigned int count, limit; };
#define K_SEM_MAX_LIMIT UINT32_MAX
int k_sem_init(struct k_sem *sem, unsigned int initial_count, unsigned int limit);
int k_sem_take(struct k_sem *sem, k_timeout_t timeout);
void k_sem_give(struct k_sem *sem);

void k_panic(void);

#endif
