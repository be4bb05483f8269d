/* WebAssembly without threads: the type that support/suite.h names. */
#ifndef WASM_PTHREAD_H
#define WASM_PTHREAD_H
typedef int pthread_t;
#endif
