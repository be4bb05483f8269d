/* Stub of FreeRTOS's task.h: see FreeRTOS.h. */
#ifndef INC_TASK_H
#define INC_TASK_H

#include "FreeRTOS.h"

#define taskENTER_CRITICAL() vTaskEnterCritical()
#define taskEXIT_CRITICAL() vTaskExitCritical()

void vTaskEnterCritical(void);
void vTaskExitCritical(void);
void vTaskSuspendAll(void);
BaseType_t xTaskResumeAll(void);

#endif
