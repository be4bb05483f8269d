/* A second unit that includes the header and uses none of it: no warning, no clash of
 * definitions. */
#include "tlsf.h"

#ifdef __cplusplus
extern "C"
#endif
size_t size_in_other_unit(void);

size_t size_in_other_unit(void) {
    return tlsf_size();
}
