/* The kernel of products_amx.c with the tiles of plain_tiles.h instead of the processor's tiles. */
#include "plain_tiles.h"

#define products_amx products_amx_plain
/* products_amx.c uses the AVX-512 kernel for few rows. Not every processor supports it. */
#define products_avx512vnni products_portable
#include "../src/products_amx.c"
