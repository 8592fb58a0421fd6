/* INT8 matmuls for ARMv8.0: SMULL and SMLAL add two products in 16 bits, SADALP adds pairs of these sums into 32 bits.
 *
 * Flipping the highest bit of the unsigned activations makes them signed: x - 128. The sum of two products is then at
 * most 2 * 128 * 127 in absolute value, which fits 16 bits. At the end, 128 times the sum of each column's weights is
 * added.
 */
#include "kernel.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))
/* Four columns of a quad fill a register. One or two rows process all 16 columns at once, three or four rows process 8.
 * In both cases, registers for weights are left besides the accumulators. */
enum { MAX_ROWS = 4, WIDE = BLOCK / 4 };

/* Sums of four columns are in two registers: two numbers per column, which are added at the end. */
typedef struct Sums { int32x4_t first, second; } Sums;

/* Load a quad of a row, make it signed, and copy it for each of the four columns. */
INLINE int8x16_t quad(const uint8_t *in) {
    const uint32x4_t four = vld1q_dup_u32((const uint32_t *)(const void *)in);
    return vreinterpretq_s8_u8(veorq_u8(vreinterpretq_u8_u32(four), vdupq_n_u8(0x80)));
}

/* Add x times v, and also y times w if there are two quads. */
INLINE void add_products(Sums *sums, int count, int8x16_t x, int8x16_t v, int8x16_t y, int8x16_t w) {
    int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(v)), high = vmull_high_s8(x, v);
    if (count > 1) {
        low = vmlal_s8(low, vget_low_s8(y), vget_low_s8(w));
        high = vmlal_high_s8(high, y, w);
    }
    sums->first = vpadalq_s16(sums->first, low);
    sums->second = vpadalq_s16(sums->second, high);
}

/* Multiply the next 2 quads of every row, or the last one (`count` is 2 or 1). */
INLINE void add_quads(Sums sums[][WIDE], int rows, int groups, int count, const int8_t *weights, const uint8_t *in,
                      size_t stride) {
    int8x16_t v[WIDE], w[WIDE];
#pragma GCC unroll 4
    for (int g = 0; g < groups; g++) {
        v[g] = vld1q_s8(weights + g * 16);
        w[g] = count > 1 ? vld1q_s8(weights + QUAD_BYTES + g * 16) : vdupq_n_s8(0);
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++, in += stride) {
        const int8x16_t x = quad(in), y = count > 1 ? quad(in + QUAD) : vdupq_n_s8(0);
#pragma GCC unroll 4
        for (int g = 0; g < groups; g++) add_products(&sums[i][g], count, x, v[g], y, w[g]);
        /* Keep the rows in order: otherwise clang would interleave them and run out of registers. */
#pragma GCC unroll 4
        for (int g = 0; g < groups; g++) __asm__ volatile("" : "+w"(sums[i][g].first), "+w"(sums[i][g].second));
    }
}

INLINE void multiply(int rows, int groups, const int8_t *weights, int quads, const int32_t *column_sums,
                     const uint8_t *in, size_t stride, int32_t *out, size_t out_stride) {
    Sums sums[MAX_ROWS][WIDE];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int g = 0; g < groups; g++) sums[i][g].first = sums[i][g].second = vdupq_n_s32(0);
    for (; quads > 1; quads -= 2, in += 2 * QUAD, weights += 2 * QUAD_BYTES)
        add_quads(sums, rows, groups, 2, weights, in, stride);
    if (quads) add_quads(sums, rows, groups, 1, weights, in, stride);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int g = 0; g < groups; g++) {
            int32x4_t sum = vpaddq_s32(sums[i][g].first, sums[i][g].second);
            sum = vaddq_s32(sum, vshlq_n_s32(vld1q_s32(column_sums + g * 4), 7));
            vst1q_s32(out + (size_t)i * out_stride + g * 4, sum);
        }
}

static void tile(const Matrix *matrix, int block, int blocks, const uint8_t *in, size_t stride, int count,
                 int32_t *out) {
    const size_t out_stride = (size_t)blocks * BLOCK;
    const int quads = matrix->quads;
    for (int b = 0; b < blocks; b++, out += BLOCK) {
        const int8_t *weights = matrix->weights + (size_t)(block + b) * (size_t)quads * QUAD_BYTES;
        const int32_t *sums = matrix->sums + (size_t)(block + b) * BLOCK;
        switch (count) {
        case 1: multiply(1, 4, weights, quads, sums, in, stride, out, out_stride); continue;
        case 2: multiply(2, 4, weights, quads, sums, in, stride, out, out_stride); continue;
        }
        for (int half = 0; half < BLOCK; half += BLOCK / 2) {
            const int8_t *from = weights + half * QUAD;
            if (count == 3) multiply(3, 2, from, quads, sums + half, in, stride, out + half, out_stride);
            else multiply(4, 2, from, quads, sums + half, in, stride, out + half, out_stride);
        }
    }
}

static int blocks_for(int count) {
    (void)count;
    return 1;
}

const Products products_neon = {
    .max_rows = MAX_ROWS, .blocks_for = blocks_for, .tile = tile, .most = 255};
