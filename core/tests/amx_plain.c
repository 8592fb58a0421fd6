/* The kernel of products_amx.c with plain_tiles.h in place of the processor's tiles. */
#include "plain_tiles.h"

#define products_amx products_amx_plain
/* Few rows go to this kernel, which not every processor runs. */
#define products_avx512vnni products_portable
#include "../src/products_amx.c"
