/* The attention of arithmetic_amx.c with the tiles of plain_tiles.h instead of the processor's tiles. */
#include "plain_tiles.h"

#define arithmetic_amx arithmetic_amx_plain
#include "../src/arithmetic_amx.c"
