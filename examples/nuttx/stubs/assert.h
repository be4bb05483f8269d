/* Stub of NuttX's assert.h: see nuttx/config.h. */
#ifndef __INCLUDE_ASSERT_H
#define __INCLUDE_ASSERT_H

#define PANIC() stub_panic()
#define DEBUGASSERT(condition) ((condition) ? (void)0 : stub_panic())

void stub_panic(void);

#endif
