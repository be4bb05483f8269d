/* Stub of NuttX's nuttx/sched.h: see config.h. */
#ifndef __INCLUDE_NUTTX_SCHED_H
#define __INCLUDE_NUTTX_SCHED_H

#define _SCHED_GETTID() nxsched_gettid()

int nxsched_gettid(void);

#endif
