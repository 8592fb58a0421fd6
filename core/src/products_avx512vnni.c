/* INT8 matmuls with VPDPBUSD on 512 bits: a register has a quad of a block, 16 columns of 4 inputs. */
#include "kernel.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
/* With 12 rows and 2 blocks, 24 of the 32 registers are accumulators. Fewer rows use more blocks, so that there are
 * still many accumulators. */
enum { MAX_ROWS = 12, FEW_ROWS = 6, WIDE = 4, MAX_SUMS = 24 };
/* Weights are prefetched this many bytes ahead. */
enum { AHEAD = 1024 };

INLINE void multiply(int rows, int blocks, const int8_t *weights, size_t block_bytes, int quads, const uint8_t *in,
                     size_t stride, int32_t *out) {
    __m512i sums[MAX_SUMS];
#pragma GCC unroll 24
    for (int i = 0; i < rows * blocks; i++) sums[i] = _mm512_setzero_si512();
    for (int q = 0; q < quads; q++, weights += QUAD_BYTES, in += QUAD) {
        __m512i w[WIDE];
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++) {
            w[b] = _mm512_loadu_si512(weights + (size_t)b * block_bytes);
            _mm_prefetch((const char *)(weights + (size_t)b * block_bytes + AHEAD), _MM_HINT_T0);
        }
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            int32_t four;
            memcpy(&four, in + (size_t)i * stride, QUAD);
            __m512i x = _mm512_set1_epi32(four);
#pragma GCC unroll 4
            for (int b = 0; b < blocks; b++) sums[i * blocks + b] = _mm512_dpbusd_epi32(sums[i * blocks + b], x, w[b]);
        }
    }
#pragma GCC unroll 24
    for (int i = 0; i < rows * blocks; i++) _mm512_store_si512(out + i * BLOCK, sums[i]);
}

#define TILE(rows, blocks) case rows: multiply(rows, blocks, weights, bytes, matrix->quads, in, stride, out); break;
#define SIX(b) TILE(1, b) TILE(2, b) TILE(3, b) TILE(4, b) TILE(5, b) TILE(6, b)
#define TWELVE(b) SIX(b) TILE(7, b) TILE(8, b) TILE(9, b) TILE(10, b) TILE(11, b) TILE(12, b)

static void tile(const Matrix *matrix, int block, int blocks, const uint8_t *in, size_t stride, int count,
                 int32_t *out) {
    const size_t bytes = (size_t)matrix->quads * QUAD_BYTES;
    const int8_t *weights = matrix->weights + (size_t)block * bytes;
    switch (blocks) {
    case 1: switch (count) { TWELVE(1) } break;
    case 2: switch (count) { TWELVE(2) } break;
    case 3: switch (count) { SIX(3) } break;
    default: switch (count) { SIX(4) }
    }
}

static int blocks_for(int count) { return count <= FEW_ROWS ? WIDE : 2; }

const Products products_avx512vnni = {
    .max_rows = MAX_ROWS, .blocks_for = blocks_for, .tile = tile, .most = 255};
