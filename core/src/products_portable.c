/* INT8 matmuls in plain C: the reference. The sums of every other kernel equal these, bit for bit. */
#include "kernel.h"

static int one_block(int count) {
    (void)count;
    return 1;
}

static void tile(const Matrix *matrix, int block, int blocks, const uint8_t *rows, size_t stride, int count,
                 int32_t *out) {
    for (int i = 0; i < count; i++)
        for (int b = 0; b < blocks; b++) {
            const int8_t *weights = matrix->weights + (size_t)(block + b) * (size_t)matrix->quads * QUAD_BYTES;
            const uint8_t *row = rows + (size_t)i * stride;
            int32_t sums[BLOCK] = {0};
            for (int q = 0; q < matrix->quads; q++, row += QUAD, weights += QUAD_BYTES)
                for (int c = 0; c < BLOCK; c++)
                    for (int k = 0; k < QUAD; k++) sums[c] += row[k] * weights[QUAD * c + k];
            for (int c = 0; c < BLOCK; c++) out[(i * blocks + b) * BLOCK + c] = sums[c];
        }
}

const Products products_portable = {.max_rows = 8, .blocks_for = one_block, .tile = tile, .most = 255};
