/* Stub of NuttX's malloc.h: see nuttx/config.h. */
#ifndef __INCLUDE_MALLOC_H
#define __INCLUDE_MALLOC_H

#define PID_MM_FREE (-4)
#define PID_MM_ALLOC (-3)

struct mallinfo {
    int arena, ordblks, aordblks, mxordblk, uordblks, fordblks, usmblks;
};
struct malltask {
    int pid;
    unsigned long seqmin, seqmax;
};
struct mallinfo_task {
    int aordblks, uordblks;
};

#endif
