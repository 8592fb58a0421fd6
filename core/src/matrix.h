/* Weight matrices as the kernels read them. */
#ifndef MATRIX_H
#define MATRIX_H

#include <stddef.h>
#include <stdint.h>

/* Columns of a block: outputs whose weights lie together. Inputs of a quad: what one INT8 instruction sums up. */
enum { BLOCK = 16, QUAD = 4, QUAD_BYTES = BLOCK * QUAD };
/* Quantized rows are as long as a multiple of this, filled up with zeros. */
enum { ROW_ALIGN = 64 };

/* How AVX2 adds the products of a block into 16 bits: see runs.h. */
typedef struct Runs {
    const uint16_t *length; /* [blocks]: quads that share an accumulator; 0: the block is summed in 32 bits */
    const uint32_t *at;     /* [blocks]: first entry of the block in `offsets`, in groups of 32 */
    const uint16_t *order;  /* [blocks][quads]: the order in which the quads are summed */
    const int8_t *offsets;  /* [groups][32]: where each 16-bit sum starts, in units of 256 */
    const int32_t *start;   /* [16 * blocks]: what the offsets of a column add up to, negative */
} Runs;

/* y = x W + b. INT8: weights [block][quad][16][4] with a scale a column. FP32: weights [block][input][16]. */
typedef struct Matrix {
    int inputs, outputs;    /* numbers of x and y */
    int quads, blocks;      /* inputs / 4 and outputs / 16, rounded up; what fills them up is zero */
    const int8_t *weights;  /* NULL: FP32 */
    const float *weights32; /* NULL: INT8 */
    const float *scale;     /* [16 * blocks] */
    const int32_t *sums;    /* [16 * blocks]: sum of the weights of a column */
    const float *bias;      /* [16 * blocks] */
    const float *factors;   /* [inputs]: x is multiplied by them before it is quantized; NULL: it is not */
    Runs runs;              /* made by the kernel's `prepare` where the file does not have them */
    void (*release)(struct Matrix *matrix); /* gives back what `prepare` took; NULL: nothing */
} Matrix;

/* Bytes from one quantized row to the next: an odd number of cache lines, which spreads rows over the cache. */
static inline size_t row_bytes(int inputs) {
    return ((size_t)inputs + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN | ROW_ALIGN;
}

#endif
