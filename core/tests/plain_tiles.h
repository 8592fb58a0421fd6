/* The tile instructions of AMX in plain C, to test code for tiles on processors without AMX. As on the processor, use
 * of a tile that is not configured or is too small stops the program. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct { uint8_t palette, start_row, zero[14]; uint16_t bytes[16]; uint8_t rows[16]; } configured;
static uint8_t tiles[8][16][64];

static inline void configure(const void *from) {
    memcpy(&configured, from, sizeof configured);
    memset(tiles, 0, sizeof tiles);
    for (int i = 0; i < 16; i++)
        if (configured.palette != 1 || configured.rows[i] > 16 || configured.bytes[i] > 64 ||
            !configured.rows[i] != !configured.bytes[i] || (i >= 8 && configured.rows[i]))
            abort();
}

static inline void need(int tile) {
    if (!configured.palette || !configured.rows[tile]) abort();
}

static inline void load(int tile, const void *from, size_t stride) {
    need(tile);
    for (int i = 0; i < configured.rows[tile]; i++)
        memcpy(tiles[tile][i], (const char *)from + (size_t)i * stride, configured.bytes[tile]);
}

static inline void store(int tile, void *to, size_t stride) {
    need(tile);
    for (int i = 0; i < configured.rows[tile]; i++)
        memcpy((char *)to + (size_t)i * stride, tiles[tile][i], configured.bytes[tile]);
}

static inline void need_alike(int sums, int rows, int columns) {
    need(sums), need(rows), need(columns);
    if (configured.rows[sums] != configured.rows[rows] || configured.bytes[rows] != 4 * configured.rows[columns])
        abort();
}

static inline void dot(int sums, int rows, int weights) {
    need_alike(sums, rows, weights);
    for (int i = 0; i < configured.rows[sums]; i++)
        for (int c = 0; c < configured.bytes[sums] / 4; c++) {
            int32_t sum;
            memcpy(&sum, &tiles[sums][i][4 * c], 4);
            for (int k = 0; k < configured.bytes[rows]; k++)
                sum += tiles[rows][i][k] * (int8_t)tiles[weights][k / 4][4 * c + k % 4];
            memcpy(&tiles[sums][i][4 * c], &sum, 4);
        }
}

static inline float widened(const uint8_t *from) {
    uint8_t bytes[4] = {0, 0, from[0], from[1]};
    float value;
    memcpy(&value, bytes, 4);
    return value;
}

static inline void dot_bf16(int sums, int rows, int columns) {
    need_alike(sums, rows, columns);
    for (int i = 0; i < configured.rows[sums]; i++)
        for (int c = 0; c < configured.bytes[sums] / 4; c++) {
            float sum;
            memcpy(&sum, &tiles[sums][i][4 * c], 4);
            for (int k = 0; k < configured.bytes[rows]; k += 2)
                sum += widened(&tiles[rows][i][k]) * widened(&tiles[columns][k / 4][4 * c + k % 4]);
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
#define TILE_DOT_BF16(sums, rows, columns) dot_bf16(sums, rows, columns)
#define FETCH(from) (void)(from)
