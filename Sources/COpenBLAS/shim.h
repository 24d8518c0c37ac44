// The one header of OpenBLAS that leank uses.
#include <cblas.h>
