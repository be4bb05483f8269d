/* Address space on Windows: reserved, and each page gets memory when it is first touched, as Linux
 * does it. */
#ifndef WINDOWS_MMAN_H
#define WINDOWS_MMAN_H

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_PRIVATE 2
#define MAP_ANONYMOUS 32
#define MAP_NORESERVE 64
#define MAP_FAILED NULL

static char *mman_first, *mman_end;

static LONG CALLBACK mman_touched(EXCEPTION_POINTERS *fault) {
    char *at = (char *)fault->ExceptionRecord->ExceptionInformation[1];
    if (fault->ExceptionRecord->ExceptionCode != (DWORD)EXCEPTION_ACCESS_VIOLATION ||
        at < mman_first || at >= mman_end ||
        VirtualAlloc(at, 1, MEM_COMMIT, PAGE_READWRITE) == NULL)
        return EXCEPTION_CONTINUE_SEARCH;
    return EXCEPTION_CONTINUE_EXECUTION;
}

/* One region at a time. */
static void *mmap(void *start, size_t bytes, int protection, int flags, int file, long offset) {
    (void)start, (void)protection, (void)flags, (void)file, (void)offset;
    if (mman_end == NULL) AddVectoredExceptionHandler(1, mman_touched);
    mman_first = VirtualAlloc(NULL, bytes, MEM_RESERVE, PAGE_READWRITE);
    mman_end = mman_first + bytes;
    return mman_first;
}

static void munmap(void *start, size_t bytes) {
    (void)bytes;
    VirtualFree(start, 0, MEM_RELEASE);
}

#endif
