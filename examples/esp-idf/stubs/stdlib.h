/* Stub of the C library's stdlib.h, which a compiler without one lacks: see sdkconfig.h. */
#pragma once

_Noreturn void abort(void);
