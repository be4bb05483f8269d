/* Stub of ESP-IDF's freertos/FreeRTOS.h: see sdkconfig.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct { int taken; } portMUX_TYPE;
#define portENTER_CRITICAL_SAFE(mutex) stub_enter(mutex)
#define portEXIT_CRITICAL_SAFE(mutex) stub_exit(mutex)

void stub_enter(portMUX_TYPE *mutex);
void stub_exit(portMUX_TYPE *mutex);
