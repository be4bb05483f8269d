/* WebAssembly has no mappings: address space is allocated. */
#ifndef WASM_MMAN_H
#define WASM_MMAN_H

#include <stdlib.h>

#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_PRIVATE 2
#define MAP_ANONYMOUS 32
#define MAP_NORESERVE 64
#define MAP_FAILED NULL
#define mmap(start, bytes, protection, flags, file, offset) malloc(bytes)
#define munmap(start, bytes) ((void)(bytes), free(start))

#endif
