// The one header of libzstd that leank uses.
#include <zstd.h>
