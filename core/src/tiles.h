/* The tile instructions of AMX. core/tests/plain_tiles.h implements them in plain C. */
#ifndef TILES_H
#define TILES_H

#include <stdint.h>

/* Rows of a tile and bytes of a row. */
enum { TILE_ROWS = 16, TILE_BYTES = 64, TILES = 8 };

/* The memory layout that LDTILECFG reads. */
typedef struct TileShape {
    uint8_t palette, start_row, zero[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} TileShape;

/* Make a configuration: `rows` has the number of 64-byte rows of each tile; 0: the tile is not used. */
static inline TileShape tile_shape(const int rows[TILES]) {
    TileShape shape = {.palette = 1};
    for (int i = 0; i < TILES; i++)
        if (rows[i]) shape.rows[i] = (uint8_t)rows[i], shape.bytes[i] = TILE_BYTES;
    return shape;
}

#ifndef AMX_PLAIN
#include <immintrin.h>
/* gcc's intrinsic declares that it reads only 8 of the 64 bytes. Without the barrier, gcc may omit the stores to the
 * others. */
#define TILE_CONFIGURE(shape) do { __asm__ volatile("" ::"r"(shape) : "memory"); _tile_loadconfig(shape); } while (0)
/* Release the tiles after use: while they are in use, every context switch copies 8 kB. */
#define TILE_RELEASE() _tile_release()
#define TILE_ZERO(tile) _tile_zero(tile)
#define TILE_LOAD(tile, from, stride) _tile_loadd(tile, from, stride)
#define TILE_STORE(tile, to, stride) _tile_stored(tile, to, stride)
#define TILE_DOT(sums, rows, weights) _tile_dpbusd(sums, rows, weights)
#define TILE_DOT_BF16(sums, rows, columns) _tile_dpbf16ps(sums, rows, columns)
#define FETCH(from) _mm_prefetch((const char *)(from), _MM_HINT_T0)
#endif

#endif
