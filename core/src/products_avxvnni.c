/* INT8 matmuls with VPDPBUSD on 256 bits: a quad of a block fills two registers, each with 8 columns of 4 inputs. */
#include "kernel.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
/* With 6 rows, 12 of the 16 registers are accumulators. Fewer rows use more blocks, so that there are still many
 * accumulators. */
enum { MAX_ROWS = 6, WIDE = 4, HALVES = 2, LANES = BLOCK / HALVES, MAX_SUMS = 12 };
/* Weights are prefetched this many bytes ahead. */
enum { AHEAD = 1024 };

/* Without AVX-VNNI, use the AVX-512 encoding of the same instruction. core/tests/avxvnni_evex.c uses this to test the
 * kernel on processors without AVX-VNNI. */
#ifdef __AVXVNNI__
#define DOT _mm256_dpbusd_avx_epi32
#else
#define DOT _mm256_dpbusd_epi32
#endif

INLINE void multiply(int rows, int blocks, const int8_t *weights, size_t block_bytes, int quads, const uint8_t *in,
                     size_t stride, int32_t *out) {
    __m256i sums[MAX_SUMS];
#pragma GCC unroll 12
    for (int i = 0; i < rows * blocks * HALVES; i++) sums[i] = _mm256_setzero_si256();
    for (int q = 0; q < quads; q++, weights += QUAD_BYTES, in += QUAD) {
#pragma GCC unroll 4
        for (int b = 0; b < blocks; b++) {
            const int8_t *from = weights + (size_t)b * block_bytes;
            __m256i left = _mm256_loadu_si256((const __m256i *)from);
            __m256i right = _mm256_loadu_si256((const __m256i *)(from + QUAD_BYTES / HALVES));
            _mm_prefetch((const char *)(from + AHEAD), _MM_HINT_T0);
#pragma GCC unroll 6
            for (int i = 0; i < rows; i++) {
                int32_t four;
                memcpy(&four, in + (size_t)i * stride, QUAD);
                __m256i x = _mm256_set1_epi32(four), *sum = sums + (i * blocks + b) * HALVES;
                sum[0] = DOT(sum[0], x, left);
                sum[1] = DOT(sum[1], x, right);
            }
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows * blocks * HALVES; i++) _mm256_store_si256((__m256i *)(out + i * LANES), sums[i]);
}

#define TILE(rows, blocks) case rows: multiply(rows, blocks, weights, bytes, matrix->quads, in, stride, out); break;
#define THREE(b) TILE(1, b) TILE(2, b) TILE(3, b)

static void tile(const Matrix *matrix, int block, int blocks, const uint8_t *in, size_t stride, int count,
                 int32_t *out) {
    const size_t bytes = (size_t)matrix->quads * QUAD_BYTES;
    const int8_t *weights = matrix->weights + (size_t)block * bytes;
    switch (blocks) {
    case 1: switch (count) { THREE(1) TILE(4, 1) TILE(5, 1) TILE(6, 1) } break;
    case 2: switch (count) { THREE(2) } break;
    case 3: switch (count) { TILE(1, 3) TILE(2, 3) } break;
    default: multiply(1, WIDE, weights, bytes, matrix->quads, in, stride, out);
    }
}

static int blocks_for(int count) { return count == 1 ? WIDE : count == 2 ? 3 : count == 3 ? 2 : 1; }

const Products products_avxvnni = {
    .max_rows = MAX_ROWS, .blocks_for = blocks_for, .tile = tile, .most = 255};
