/* Weight matrices as the kernels read them. */
#ifndef MATRIX_H
#define MATRIX_H

#include <stddef.h>
#include <stdint.h>

/* Block: 16 columns (outputs) whose weights are stored together. Quad: 4 inputs that one instruction multiplies and
 * sums. */
enum { BLOCK = 16, QUAD = 4, QUAD_BYTES = BLOCK * QUAD };
/* Quantized rows are padded with zeros to a multiple of this. */
enum { ROW_ALIGN = 64 };

/* The order in which AVX2 sums a block: see runs.h. */
typedef struct RunBlock {
    uint32_t order;   /* its first entry in `Runs.order` */
    uint32_t offsets; /* its first group in `Runs.offsets` */
    uint32_t entries; /* entries in `Runs.order` */
    uint32_t shape;   /* entries per group (the last group may have fewer); plus 65536 if entries have masks */
} RunBlock;

typedef struct Runs {
    int most;                /* largest quantized activation for which no sum overflows; 0: no runs */
    uint32_t entries, groups; /* totals over all blocks */
    const RunBlock *block;   /* [blocks] */
    const uint16_t *order;   /* [entries]: the order of summation */
    const int8_t *offsets;   /* [groups][32]: start values of the 16-bit sums of a group, in units of 256 */
    const int32_t *start;    /* [16 * blocks]: minus the sum of a column's offsets */
} Runs;

/* y = x W + b. INT8: weights [block][quad][16][4] with one scale per column. FP32: weights [block][input][16]. */
typedef struct Matrix {
    int inputs, outputs;    /* lengths of x and y */
    int quads, blocks;      /* inputs / 4 and outputs / 16, rounded up; padding is zero */
    const int8_t *weights;  /* NULL: FP32 */
    const float *weights32; /* NULL: INT8 */
    const float *scale;     /* [16 * blocks] */
    const int32_t *sums;    /* [16 * blocks]: sum of each column's weights */
    const float *bias;      /* [16 * blocks] */
    const float *factors;   /* [inputs]: x is multiplied by these before it is quantized; NULL: none */
    Runs runs;              /* from the file, or made by the kernel's `prepare` */
    void (*release)(struct Matrix *matrix); /* frees the tables of `prepare`; NULL: none */
} Matrix;

/* Bytes from one quantized row to the next: an odd number of cache lines, so that rows use different cache sets. */
static inline size_t row_bytes(int inputs) {
    return ((size_t)inputs + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN | ROW_ALIGN;
}

#endif
