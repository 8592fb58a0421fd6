/* INT8 matmuls with VPMADDUBSW and 16-bit sums (runs.h), and with VPMADDWD for few rows.
 *
 * A quad of a block fills two registers of 8 columns each; a column has two 16-bit lanes.
 */
#include "kernel.h"
#include "runs.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
/* With MAX_ROWS rows, 12 of the 16 registers are accumulators. FEW_ROWS or fewer rows are limited by memory bandwidth
 * and read the weights in the order of the file. */
enum { MAX_ROWS = 6, FEW_ROWS = 1, MOST = 255 };
/* For few rows, weights are prefetched this many bytes ahead. */
enum { AHEAD = 1024 };

static const _Alignas(32) int16_t MASKS[4][16] = {
    {0}, {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
    {-256, -256, -256, -256, -256, -256, -256, -256, -256, -256, -256, -256, -256, -256, -256, -256},
    {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}};

INLINE __m256i load(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }

INLINE __m256i four(const uint8_t *in) {
    int32_t bytes;
    memcpy(&bytes, in, QUAD);
    return _mm256_set1_epi32(bytes);
}

/* Multiply one quad of one row. On one core, this order of instructions reached 133 GMAC/s; the order that gcc 12 chose
 * for the intrinsics reached 97. */
INLINE void step(const uint8_t *in, __m256i left, __m256i right, __m256i *sums) {
#if !defined(__SANITIZE_ADDRESS__)
    __m256i x, y;
    __asm__("vpbroadcastd %[in], %[x]\n\tvpmaddubsw %[left], %[x], %[y]\n\tvpmaddubsw %[right], %[x], %[x]\n\t"
            "vpaddw %[y], %[a], %[a]\n\tvpaddw %[x], %[b], %[b]"
            : [a] "+x"(sums[0]), [b] "+x"(sums[1]), [x] "=&x"(x), [y] "=&x"(y)
            : [in] "m"(*(const uint8_t(*)[QUAD])in), [left] "x"(left), [right] "x"(right));
#else
    __m256i x = four(in);
    sums[0] = _mm256_add_epi16(sums[0], _mm256_maddubs_epi16(x, left));
    sums[1] = _mm256_add_epi16(sums[1], _mm256_maddubs_epi16(x, right));
#endif
}

INLINE void flush(__m256i sum, int32_t *out) {
    __m256i wide = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
    _mm256_store_si256((__m256i *)out, _mm256_add_epi32(wide, _mm256_load_si256((const __m256i *)out)));
}

INLINE void multiply(int rows, int masked, const int8_t *weights, size_t next, const Runs *runs, const RunBlock *block,
                     const int32_t *start, const uint8_t *in, size_t stride, int32_t *out) {
    const uint16_t *order = runs->order + block->order, *end = order + block->entries;
    const int8_t *offsets = runs->offsets + (size_t)block->offsets * LANES16;
    const int length = block->shape & 0xffff;
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        _mm256_store_si256((__m256i *)(out + i * BLOCK), load(start));
        _mm256_store_si256((__m256i *)(out + i * BLOCK + 8), load(start + 8));
    }
    for (; order < end; offsets += LANES16) {
        __m256i bytes = load(offsets), zero = _mm256_setzero_si256(), sums[2 * MAX_ROWS];
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            sums[2 * i] = _mm256_unpacklo_epi8(zero, bytes);
            sums[2 * i + 1] = _mm256_unpackhi_epi8(zero, bytes);
        }
        const uint16_t *stop = end - order < length ? end : order + length;
        do {
            const size_t entry = *order++, at = masked ? entry & ~(size_t)ALL : entry;
            const int8_t *quad = weights + at * (QUAD_BYTES / QUAD);
            __m256i left = load(quad), right = load(quad + QUAD_BYTES / 2);
            /* Prefetch the weights of the next block into the second-level cache: hardware prefetchers cannot predict
             * this order. */
            _mm_prefetch((const char *)(quad + next), _MM_HINT_T1);
            if (masked) {
                __m256i mask = load(MASKS[entry & ALL]);
                left = _mm256_and_si256(left, mask);
                right = _mm256_and_si256(right, mask);
            }
            const uint8_t *x = in + at;
#pragma GCC unroll 6
            for (int i = 0; i < rows; i++) step(x + (size_t)i * stride, left, right, sums + 2 * i);
        } while (order < stop);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            flush(sums[2 * i], out + i * BLOCK);
            flush(sums[2 * i + 1], out + i * BLOCK + 8);
        }
    }
}

/* Add the two 32-bit lanes of each column: two vectors of 4 columns become one vector of 8 columns. */
INLINE __m256i columns(__m256i a, __m256i b) {
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), _MM_SHUFFLE(3, 1, 2, 0));
}

/* Multiply one row, with any weights, in the order of the file. */
static void multiply_wide(const int8_t *weights, int quads, const uint8_t *in, int32_t *out) {
    __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int q = 0; q < quads; q++, weights += QUAD_BYTES, in += QUAD) {
        __m256i x = _mm256_unpacklo_epi8(four(in), _mm256_setzero_si256());
        _mm_prefetch((const char *)(weights + AHEAD), _MM_HINT_T0);
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) {
            __m256i w = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(weights + 16 * c)));
            sums[c] = _mm256_add_epi32(sums[c], _mm256_madd_epi16(x, w));
        }
    }
    _mm256_store_si256((__m256i *)out, columns(sums[0], sums[1]));
    _mm256_store_si256((__m256i *)(out + 8), columns(sums[2], sums[3]));
}

#define TILE(rows, masked) \
    case 2 * (rows) + (masked): \
        multiply(rows, masked, weights, bytes, runs, shape, start, in, stride, out); \
        break;
#define BOTH(rows) TILE(rows, 0) TILE(rows, 1)

static void tile(const Matrix *matrix, int block, int blocks, const uint8_t *in, size_t stride, int count,
                 int32_t *out) {
    (void)blocks;
    const size_t bytes = (size_t)matrix->quads * QUAD_BYTES;
    const int8_t *weights = matrix->weights + (size_t)block * bytes;
    const Runs *runs = &matrix->runs;
    if (count <= FEW_ROWS || !runs->most) {
        for (int i = 0; i < count; i++) multiply_wide(weights, matrix->quads, in + (size_t)i * stride, out + i * BLOCK);
        return;
    }
    const RunBlock *shape = runs->block + block;
    const int32_t *start = runs->start + block * BLOCK;
    switch (2 * count + (shape->shape >> 16)) { BOTH(1) BOTH(2) BOTH(3) BOTH(4) BOTH(5) BOTH(6) }
}

static int one_block(int count) {
    (void)count;
    return 1;
}

static void release(Matrix *matrix) { free_runs(&matrix->runs); }

/* Make runs if the file has none. Matrices with more than MAX_QUADS quads have no runs. */
static int prepare(Matrix *matrix) {
    if (matrix->runs.most >= MOST || matrix->quads > MAX_QUADS) return 0;
    if (make_runs(matrix->weights, matrix->quads, matrix->blocks, MOST, &matrix->runs)) return -1;
    matrix->release = release;
    return 0;
}

const Products products_avx2 = {.max_rows = MAX_ROWS, .blocks_for = one_block, .tile = tile,
                                .most = MOST, .prepare = prepare};
