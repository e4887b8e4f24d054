/* The ABI version: raised whenever a kernel's signature or a state's layout changes, and kept in
 * every checkpoint so that an old one is recomputed instead of misread. */
#include "kernels.h"

API int rs_abi_version(void) { return 21; }
