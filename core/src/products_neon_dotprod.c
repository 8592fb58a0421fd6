/* INT8 matmuls with SDOT: a register has four columns of a quad. Flipping the highest bit of the unsigned activations
 * makes them signed: x - 128. Sums start with 128 times the sum of each column's weights to compensate. */
#include "kernel.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))
/* 20 of the 32 registers are accumulators: 5 rows of a block. One or two rows use more blocks, so that there are still
 * many accumulators. */
enum { MAX_ROWS = 5, WIDE = 4, GROUPS = BLOCK / 4 };

/* Multiply one quad of every row. `x` has four quads of each row; `number` selects one. */
INLINE void add_quad(int32x4_t sums[][WIDE * GROUPS], int rows, int blocks, const int8x16_t *x, int number,
                     const int8_t *weights, size_t block_bytes) {
#pragma GCC unroll 16
    for (int g = 0; g < blocks * GROUPS; g++) {
        const int8_t *at = weights + (size_t)(g / GROUPS) * block_bytes + number * QUAD_BYTES + g % GROUPS * 16;
        const int8x16_t w = vld1q_s8(at);
#pragma GCC unroll 5
        for (int i = 0; i < rows; i++) switch (number) {
            case 0: sums[i][g] = vdotq_laneq_s32(sums[i][g], w, x[i], 0); break;
            case 1: sums[i][g] = vdotq_laneq_s32(sums[i][g], w, x[i], 1); break;
            case 2: sums[i][g] = vdotq_laneq_s32(sums[i][g], w, x[i], 2); break;
            default: sums[i][g] = vdotq_laneq_s32(sums[i][g], w, x[i], 3);
            }
    }
}

INLINE void multiply(int rows, int blocks, const Matrix *matrix, int block, const uint8_t *in, size_t stride,
                     int32_t *out) {
    const size_t bytes = (size_t)matrix->quads * QUAD_BYTES;
    const int8_t *weights = matrix->weights + (size_t)block * bytes;
    const int32_t *column_sums = matrix->sums + (size_t)block * BLOCK;
    int32x4_t sums[MAX_ROWS][WIDE * GROUPS];
#pragma GCC unroll 16
    for (int g = 0; g < blocks * GROUPS; g++) {
        sums[0][g] = vshlq_n_s32(vld1q_s32(column_sums + g * 4), 7);
#pragma GCC unroll 5
        for (int i = 1; i < rows; i++) sums[i][g] = sums[0][g];
    }
    for (int left = matrix->quads; left > 0; left -= 4, in += 4 * QUAD, weights += 4 * QUAD_BYTES) {
        int8x16_t x[MAX_ROWS];
        /* This may read beyond the last quad: rows are padded to a multiple of 64 bytes. */
#pragma GCC unroll 5
        for (int i = 0; i < rows; i++)
            x[i] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(in + (size_t)i * stride), vdupq_n_u8(0x80)));
        add_quad(sums, rows, blocks, x, 0, weights, bytes);
        if (left > 1) add_quad(sums, rows, blocks, x, 1, weights, bytes);
        if (left > 2) add_quad(sums, rows, blocks, x, 2, weights, bytes);
        if (left > 3) add_quad(sums, rows, blocks, x, 3, weights, bytes);
    }
#pragma GCC unroll 5
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int g = 0; g < blocks * GROUPS; g++) vst1q_s32(out + (i * blocks * GROUPS + g) * 4, sums[i][g]);
}

#define TILE(rows, blocks) case rows: multiply(rows, blocks, matrix, block, in, stride, out); break;

static void tile(const Matrix *matrix, int block, int blocks, const uint8_t *in, size_t stride, int count,
                 int32_t *out) {
    switch (blocks) {
    case 1: switch (count) { TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) } break;
    case 2: switch (count) { TILE(1, 2) TILE(2, 2) } break;
    case 3: multiply(1, 3, matrix, block, in, stride, out); break;
    default: multiply(1, 4, matrix, block, in, stride, out);
    }
}

static int blocks_for(int count) { return count == 1 ? WIDE : count == 2 ? 2 : 1; }

const Products products_neon_dotprod = {
    .max_rows = MAX_ROWS, .blocks_for = blocks_for, .tile = tile, .most = 255};
