/* INT8 matmuls with USMMLA: two rows times two columns, eight inputs each. Activations stay unsigned.
 *
 * A register of weights has four columns of one quad. Interleaving the registers of two quads gives two registers, each
 * with two columns of eight inputs. The rows are copied in pairs into a panel on the stack, as many inputs at a time as
 * fit a first-level cache.
 */
#include "kernel.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))
/* 24 of the 32 registers are accumulators: 6 pairs of rows, 4 pairs of columns. */
enum { MAX_ROWS = 12, MAX_PAIRS = MAX_ROWS / 2, HALF = BLOCK / 2, COLUMN_PAIRS = HALF / 2, GROUPS = BLOCK / 4 };
/* Blocks in a tile: WIDE for a single row, which is not computed in pairs; TWO for more rows. */
enum { WIDE = 4, TWO = 2 };
/* Quads in a panel: 24 KB with 12 rows. */
enum { PANEL_QUADS = 512, PAIR_BYTES = 16 };

/* Copy rows in pairs: [inputs / 8][pair][2][8]. An odd last row is paired with itself. The copy may read beyond the
 * last quad, because rows are padded with zeros to a multiple of 64 bytes; these inputs are multiplied by zero
 * weights. */
INLINE void make_panel(int pairs, const uint8_t *in, size_t stride, int count, int quads, uint8_t *panel) {
    for (int p = 0; p < pairs; p++) {
        const uint8_t *first = in + (size_t)(2 * p) * stride, *second = 2 * p + 1 < count ? first + stride : first;
        uint8_t *to = panel + p * PAIR_BYTES;
        for (int q = 0; q < quads; q += 4, first += 4 * QUAD, second += 4 * QUAD, to += 2 * pairs * PAIR_BYTES) {
            const uint64x2_t a = vreinterpretq_u64_u8(vld1q_u8(first)), b = vreinterpretq_u64_u8(vld1q_u8(second));
            vst1q_u8(to, vreinterpretq_u8_u64(vzip1q_u64(a, b)));
            vst1q_u8(to + pairs * PAIR_BYTES, vreinterpretq_u8_u64(vzip2q_u64(a, b)));
        }
    }
}

INLINE int8x16_t zip(int32x4_t a, int32x4_t b, int upper) {
    return vreinterpretq_s8_s32(upper ? vzip2q_s32(a, b) : vzip1q_s32(a, b));
}

INLINE void add_quads(int32x4_t sums[][COLUMN_PAIRS], int pairs, const uint8_t *panel, const int8_t *weights,
                      int count) {
    int8x16_t w[COLUMN_PAIRS];
#pragma GCC unroll 2
    for (int g = 0; g < 2; g++) {
        const int32x4_t a = vreinterpretq_s32_s8(vld1q_s8(weights + g * 16));
        const int32x4_t b = count > 1 ? vreinterpretq_s32_s8(vld1q_s8(weights + QUAD_BYTES + g * 16)) : vdupq_n_s32(0);
        w[2 * g] = zip(a, b, 0);
        w[2 * g + 1] = zip(a, b, 1);
    }
#pragma GCC unroll 6
    for (int p = 0; p < pairs; p++) {
        const uint8x16_t x = vld1q_u8(panel + p * PAIR_BYTES);
#pragma GCC unroll 4
        for (int c = 0; c < COLUMN_PAIRS; c++) sums[p][c] = vusmmlaq_s32(sums[p][c], x, w[c]);
    }
}

INLINE void store(int32_t *out, int32x4_t sum, int more) {
    vst1q_s32(out, more ? vaddq_s32(vld1q_s32(out), sum) : sum);
}

/* Compute eight columns of a block. `more`: add the results to those of earlier inputs. */
INLINE void multiply(int pairs, const uint8_t *panel, const int8_t *weights, int quads, int count, int more,
                     int32_t *out, size_t out_stride) {
    int32x4_t sums[MAX_PAIRS][COLUMN_PAIRS];
#pragma GCC unroll 6
    for (int p = 0; p < pairs; p++)
#pragma GCC unroll 4
        for (int c = 0; c < COLUMN_PAIRS; c++) sums[p][c] = vdupq_n_s32(0);
    for (; quads > 1; quads -= 2, panel += pairs * PAIR_BYTES, weights += 2 * QUAD_BYTES)
        add_quads(sums, pairs, panel, weights, 2);
    if (quads) add_quads(sums, pairs, panel, weights, 1);
#pragma GCC unroll 6
    for (int p = 0; p < pairs; p++)
#pragma GCC unroll 2
        for (int c = 0; c < COLUMN_PAIRS; c += 2) {
            const int64x2_t a = vreinterpretq_s64_s32(sums[p][c]), b = vreinterpretq_s64_s32(sums[p][c + 1]);
            int32_t *to = out + (size_t)(2 * p) * out_stride + c * 2;
            store(to, vreinterpretq_s32_s64(vzip1q_s64(a, b)), more);
            if (2 * p + 1 < count) store(to + out_stride, vreinterpretq_s32_s64(vzip2q_s64(a, b)), more);
        }
}

INLINE void pairs_tile(int pairs, const Matrix *matrix, int block, int blocks, const uint8_t *in, size_t stride,
                       int count, int32_t *out) {
    uint8_t panel[MAX_PAIRS * (PANEL_QUADS / 2) * PAIR_BYTES];
    for (int first = 0; first < matrix->quads; first += PANEL_QUADS) {
        const int left = matrix->quads - first, quads = left < PANEL_QUADS ? left : PANEL_QUADS;
        make_panel(pairs, in + (size_t)first * QUAD, stride, count, quads, panel);
        for (int half = 0; half < 2 * blocks; half++) {
            const size_t at = (size_t)(block + half / 2) * (size_t)matrix->quads + (size_t)first;
            const int8_t *weights = matrix->weights + at * QUAD_BYTES + half % 2 * HALF * QUAD;
            multiply(pairs, panel, weights, quads, count, first > 0, out + half * HALF, (size_t)blocks * BLOCK);
        }
    }
}

/* Multiply a single row with USDOT: USMMLA would compute it twice. */
INLINE void one_row(const Matrix *matrix, int block, int blocks, const uint8_t *in, int32_t *out) {
    const size_t bytes = (size_t)matrix->quads * QUAD_BYTES;
    const int8_t *weights = matrix->weights + (size_t)block * bytes;
    int32x4_t sums[WIDE * GROUPS];
#pragma GCC unroll 16
    for (int g = 0; g < blocks * GROUPS; g++) sums[g] = vdupq_n_s32(0);
    for (int q = 0; q < matrix->quads; q++, in += QUAD, weights += QUAD_BYTES) {
        const uint8x16_t x = vreinterpretq_u8_u32(vld1q_dup_u32((const uint32_t *)(const void *)in));
#pragma GCC unroll 16
        for (int g = 0; g < blocks * GROUPS; g++)
            sums[g] = vusdotq_s32(sums[g], x, vld1q_s8(weights + (size_t)(g / GROUPS) * bytes + g % GROUPS * 16));
    }
#pragma GCC unroll 16
    for (int g = 0; g < blocks * GROUPS; g++) vst1q_s32(out + g * 4, sums[g]);
}

static void tile(const Matrix *matrix, int block, int blocks, const uint8_t *in, size_t stride, int count,
                 int32_t *out) {
    if (count == 1) {
        switch (blocks) {
        case 1: one_row(matrix, block, 1, in, out); return;
        case 2: one_row(matrix, block, 2, in, out); return;
        case 3: one_row(matrix, block, 3, in, out); return;
        default: one_row(matrix, block, 4, in, out); return;
        }
    }
    switch ((count + 1) / 2) {
    case 1: pairs_tile(1, matrix, block, blocks, in, stride, count, out); break;
    case 2: pairs_tile(2, matrix, block, blocks, in, stride, count, out); break;
    case 3: pairs_tile(3, matrix, block, blocks, in, stride, count, out); break;
    case 4: pairs_tile(4, matrix, block, blocks, in, stride, count, out); break;
    case 5: pairs_tile(5, matrix, block, blocks, in, stride, count, out); break;
    default: pairs_tile(6, matrix, block, blocks, in, stride, count, out);
    }
}

static int blocks_for(int count) { return count == 1 ? WIDE : TWO; }

const Products products_neon_i8mm = {
    .max_rows = MAX_ROWS, .blocks_for = blocks_for, .tile = tile, .most = 255};
