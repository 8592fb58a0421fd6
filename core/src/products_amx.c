/* INT8 matmuls with TDPBUSD on tiles of 16 rows and 64 bytes. 16 quads of a block in the file can be loaded directly as
 * a tile.
 *
 * The last tile of a block reads up to 15 quads beyond the block. These are multiplied by zeros, because quantized rows
 * are padded to 64 bytes. The reads are safe, because files have padding after their last number.
 */
#include "kernel.h"
#include "tiles.h"

enum { DEPTH = TILE_BYTES / QUAD, WEIGHT_TILE = DEPTH * QUAD_BYTES };
/* FEW_ROWS or fewer rows would leave most of a tile empty: they use the AVX-512 kernel. */
enum { FEW_ROWS = 2, FEW_BLOCKS = 4 };

extern const Products products_avx512vnni;

/* Weights are prefetched this many bytes ahead. */
enum { AHEAD = 2048 };

static inline __attribute__((always_inline)) void fetch(const int8_t *w) {
#pragma GCC unroll 16
    for (int i = 0; i < WEIGHT_TILE; i += QUAD_BYTES) FETCH(w + AHEAD + i);
}

/* Instructions contain the numbers of their tiles as constants, so each shape has its own loop. upper: the first 16
 * rows only; both: up to 32 rows. one, two: blocks. */
static void upper_one(const int8_t *w, int steps, const uint8_t *in, size_t stride, int32_t *out) {
    TILE_ZERO(0);
    for (int k = 0; k < steps; k++, w += WEIGHT_TILE, in += TILE_BYTES) {
        TILE_LOAD(4, in, stride);
        TILE_LOAD(6, w, QUAD_BYTES);
        fetch(w);
        TILE_DOT(0, 4, 6);
    }
    TILE_STORE(0, out, TILE_BYTES);
}

static void upper_two(const int8_t *w, size_t block_bytes, int steps, const uint8_t *in, size_t stride, int32_t *out) {
    TILE_ZERO(0);
    TILE_ZERO(1);
    for (int k = 0; k < steps; k++, w += WEIGHT_TILE, in += TILE_BYTES) {
        TILE_LOAD(4, in, stride);
        TILE_LOAD(6, w, QUAD_BYTES);
        fetch(w);
        TILE_DOT(0, 4, 6);
        TILE_LOAD(7, w + block_bytes, QUAD_BYTES);
        fetch(w + block_bytes);
        TILE_DOT(1, 4, 7);
    }
    TILE_STORE(0, out, 2 * TILE_BYTES);
    TILE_STORE(1, out + BLOCK, 2 * TILE_BYTES);
}

static void both_one(const int8_t *w, int steps, const uint8_t *in, size_t stride, int32_t *out) {
    const uint8_t *lower = in + TILE_ROWS * stride;
    TILE_ZERO(0);
    TILE_ZERO(2);
    for (int k = 0; k < steps; k++, w += WEIGHT_TILE, in += TILE_BYTES, lower += TILE_BYTES) {
        TILE_LOAD(6, w, QUAD_BYTES);
        fetch(w);
        TILE_LOAD(4, in, stride);
        TILE_DOT(0, 4, 6);
        TILE_LOAD(5, lower, stride);
        TILE_DOT(2, 5, 6);
    }
    TILE_STORE(0, out, TILE_BYTES);
    TILE_STORE(2, out + TILE_ROWS * BLOCK, TILE_BYTES);
}

static void both_two(const int8_t *w, size_t block_bytes, int steps, const uint8_t *in, size_t stride, int32_t *out) {
    const uint8_t *lower = in + TILE_ROWS * stride;
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (int k = 0; k < steps; k++, w += WEIGHT_TILE, in += TILE_BYTES, lower += TILE_BYTES) {
        TILE_LOAD(4, in, stride);
        TILE_LOAD(6, w, QUAD_BYTES);
        fetch(w);
        TILE_DOT(0, 4, 6);
        TILE_LOAD(7, w + block_bytes, QUAD_BYTES);
        fetch(w + block_bytes);
        TILE_DOT(1, 4, 7);
        TILE_LOAD(5, lower, stride);
        TILE_DOT(2, 5, 6);
        TILE_DOT(3, 5, 7);
    }
    TILE_STORE(0, out, 2 * TILE_BYTES);
    TILE_STORE(1, out + BLOCK, 2 * TILE_BYTES);
    TILE_STORE(2, out + 2 * TILE_ROWS * BLOCK, 2 * TILE_BYTES);
    TILE_STORE(3, out + 2 * TILE_ROWS * BLOCK + BLOCK, 2 * TILE_BYTES);
}

static void tile(const Matrix *matrix, int block, int blocks, const uint8_t *in, size_t stride, int count,
                 int32_t *out) {
    if (count <= FEW_ROWS) {
        products_avx512vnni.tile(matrix, block, blocks, in, stride, count, out);
        return;
    }
    const size_t bytes = (size_t)matrix->quads * QUAD_BYTES;
    const int8_t *weights = matrix->weights + (size_t)block * bytes;
    const int steps = (matrix->quads + DEPTH - 1) / DEPTH, lower = count > TILE_ROWS ? count - TILE_ROWS : 0;
    if (lower && blocks == 2) both_two(weights, bytes, steps, in, stride, out);
    else if (lower) both_one(weights, steps, in, stride, out);
    else if (blocks == 2) upper_two(weights, bytes, steps, in, stride, out);
    else upper_one(weights, steps, in, stride, out);
}

static void begin(int count) {
    const int lower = count > TILE_ROWS ? count - TILE_ROWS : 0, upper = count - lower;
    /* Tiles 0 to 3: sums, [upper, lower rows][first, second block]; 4 and 5: upper and lower rows; 6 and 7: weights. */
    const TileShape shape = tile_shape((const int[TILES]){upper, upper, lower, lower, upper, lower, DEPTH, DEPTH});
    TILE_CONFIGURE(&shape);
}

static void end(void) { TILE_RELEASE(); }

static int blocks_for(int count) { return count <= FEW_ROWS ? FEW_BLOCKS : 2; }

const Products products_amx = {
    .max_rows = 2 * TILE_ROWS, .blocks_for = blocks_for, .tile = tile, .most = 255, .begin = begin, .end = end};
