/* Stub of NuttX's syslog.h: see nuttx/config.h. */
#ifndef __INCLUDE_SYSLOG_H
#define __INCLUDE_SYSLOG_H

#define LOG_EMERG 0
#define LOG_INFO 6

void syslog(int priority, const char *format, ...);

#endif
