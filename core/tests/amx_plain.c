/* The kernel of products_amx.c with its tile instructions in plain C: what it reads, multiplies and writes is tested on
 * processors without AMX. As on the processor, a tile that is not configured, or is too small, stops the program. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct { uint8_t palette, start_row, zero[14]; uint16_t bytes[16]; uint8_t rows[16]; } configured;
static uint8_t tiles[8][16][64];

static void configure(const void *from) {
    memcpy(&configured, from, sizeof configured);
    memset(tiles, 0, sizeof tiles);
    for (int i = 0; i < 16; i++)
        if (configured.palette != 1 || configured.rows[i] > 16 || configured.bytes[i] > 64 ||
            !configured.rows[i] != !configured.bytes[i] || (i >= 8 && configured.rows[i]))
            abort();
}

static void need(int tile) {
    if (!configured.palette || !configured.rows[tile]) abort();
}

static void load(int tile, const void *from, size_t stride) {
    need(tile);
    for (int i = 0; i < configured.rows[tile]; i++)
        memcpy(tiles[tile][i], (const char *)from + (size_t)i * stride, configured.bytes[tile]);
}

static void store(int tile, void *to, size_t stride) {
    need(tile);
    for (int i = 0; i < configured.rows[tile]; i++)
        memcpy((char *)to + (size_t)i * stride, tiles[tile][i], configured.bytes[tile]);
}

static void dot(int sums, int rows, int weights) {
    need(sums), need(rows), need(weights);
    if (configured.rows[sums] != configured.rows[rows] || configured.bytes[rows] != 4 * configured.rows[weights])
        abort();
    for (int i = 0; i < configured.rows[sums]; i++)
        for (int c = 0; c < configured.bytes[sums] / 4; c++) {
            int32_t sum;
            memcpy(&sum, &tiles[sums][i][4 * c], 4);
            for (int k = 0; k < configured.bytes[rows]; k++)
                sum += tiles[rows][i][k] * (int8_t)tiles[weights][k / 4][4 * c + k % 4];
            memcpy(&tiles[sums][i][4 * c], &sum, 4);
        }
}

#define AMX_PLAIN
#define TILE_CONFIGURE(from) configure(from)
#define TILE_RELEASE() memset(&configured, 0, sizeof configured)
#define TILE_ZERO(tile) (need(tile), memset(tiles[tile], 0, sizeof tiles[tile]))
#define TILE_LOAD(tile, from, stride) load(tile, from, stride)
#define TILE_STORE(tile, to, stride) store(tile, to, stride)
#define TILE_DOT(sums, rows, weights) dot(sums, rows, weights)
#define products_amx products_amx_plain
/* Few rows go to this kernel, which not every processor runs. */
#define products_avx512vnni products_portable
#include "../src/products_amx.c"
