/* Stub of NuttX's debug.h: see nuttx/config.h. */
