// The one header of zlib that leank uses: inflate and CRC-32.
#include <zlib.h>

// `inflateInit2` is a macro, which Swift does not import.
static inline int leank_inflate_init_raw(z_streamp stream) {
  return inflateInit2(stream, -MAX_WBITS);
}
