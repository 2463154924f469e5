/* A good library, but no plugin. */
#include <seacliff/abi/scf_abi.h>

SCF_EXPORT int some_other_function(void);
int some_other_function(void) { return 1; }
