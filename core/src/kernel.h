/* A kernel: INT8 matmuls with one instruction set, and the FP32 arithmetic between them. */
#ifndef KERNEL_H
#define KERNEL_H

#include "matrix.h"

/* Rows quantized to 8 bits, each with its own scale and zero point: x = scale * (q - zero). */
typedef struct Quantized {
    uint8_t *rows; /* `stride` bytes per row; zeros after the last number, up to a multiple of 64 bytes */
    size_t stride;
    float *scale;
    int32_t *zero;
} Quantized;

typedef struct Norm {
    const float *weight, *bias; /* [width] */
} Norm;

/* Operations on a matmul's result before it is written. */
typedef enum Activation { NONE, GELU, GELU_TANH, RELU, TANH, SIGMOID, SILU, ACTIVATIONS } Activation;

typedef struct Finish {
    Activation activation;
    const float *residual; /* added to the result; `residual_stride` numbers per row; NULL: nothing */
    size_t residual_stride;
    float *out;
    size_t out_stride;
    float *range; /* per row the smallest results so far in 16 lanes, then the largest ones; NULL: not needed */
} Finish;

/* Attention of one text: the first `queries` of its `tokens` rows attend to all rows. */
typedef struct Attention {
    const float *query, *key, *value; /* first row of the text, first head; `stride` numbers per row */
    size_t stride;
    int tokens, queries, heads, head_width;
    int exact; /* in FP32, even if the kernel has a faster method */
    float *context; /* `context_stride` numbers per row */
    size_t context_stride;
    float *scratch; /* `attention_scratch` numbers, aligned to 64 bytes */
} Attention;

/* Multiply `count` INT8 rows by the columns of `blocks` blocks. The 32-bit sums are exact: out[count][16 * blocks]. */
typedef void (*Tile)(const Matrix *matrix, int block, int blocks, const uint8_t *rows, size_t stride, int count,
                     int32_t *out);

typedef struct Products {
    int max_rows;                 /* largest number of rows in a tile */
    int (*blocks_for)(int count); /* best number of blocks in a tile with this number of rows */
    Tile tile;
    int most; /* largest quantized activation: 255, or 127 */
    int (*prepare)(Matrix *matrix); /* makes `matrix->runs`; -1: too little memory. NULL: the kernel needs no tables */
    void (*begin)(int count); /* called before tiles of `count` rows, and `end` after the last tile; NULL: not needed */
    void (*end)(void);
} Products;

/* FP32 arithmetic of one vector width; the functions of arithmetic.inc. Every function works row by row: the result
 * for a row does not depend on other rows. */
typedef struct Arithmetic {
    void (*embed)(const int8_t *words8, const float *words32, float word_scale, const float *position,
                  const float *segment, int width, float *out);
    void (*norm)(const float *in, int rows, int width, Norm norm, float eps, float *out, const Quantized *quantized,
                 const float *factors, int most);
    void (*quantize)(const float *in, size_t stride, int rows, int width, const float *factors, const float *range,
                     const Quantized *quantized, int most);
    void (*product)(const Products *products, const Matrix *matrix, int first_block, int end_block,
                    const Quantized *in, int rows, const Finish *finish);
    void (*product32)(const Matrix *matrix, int first_block, int end_block, const float *in, size_t stride, int rows,
                      const Finish *finish);
    void (*attend)(const Attention *attention);
    size_t (*attention_scratch)(int tokens, int head_width);
    void (*activate)(Activation activation, float *row, int width);
} Arithmetic;

typedef struct Kernel {
    const char *name;
    int (*runs_here)(void);
    const Products *products;
    const Arithmetic *arithmetic;
} Kernel;

/* All kernels of this build, the fastest first. The last one is portable; NULL ends the list. */
extern const Kernel *const kernels[];

/* Find the fastest kernel that this processor supports (name NULL), or the named one. Returns NULL if it does not exist
 * or the processor does not support it. */
const Kernel *find_kernel(const char *name);

#endif
