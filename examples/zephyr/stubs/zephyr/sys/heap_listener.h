/* Stub of Zephyr's sys/heap_listener.h with CONFIG_HEAP_LISTENER: see kernel.h. */
#ifndef ZEPHYR_INCLUDE_SYS_HEAP_LISTENER_H
#define ZEPHYR_INCLUDE_SYS_HEAP_LISTENER_H

#include <stddef.h>
#include <stdint.h>

#define HEAP_ID_FROM_POINTER(heap) ((uintptr_t)(heap))

void heap_listener_notify_alloc(uintptr_t heap_id, void *mem, size_t bytes);
void heap_listener_notify_free(uintptr_t heap_id, void *mem, size_t bytes);

#endif
