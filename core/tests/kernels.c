/* Compare every kernel that this processor supports with plain C. The sums of INT8 matmuls must be equal, bit for bit,
 * for every number of rows, tails of every size, and the weights and activations with the largest sums. Exits with 0 if
 * all are equal.
 *
 * Buffers end where kernels must stop reading, so that AddressSanitizer detects a read beyond them. */
#include "../src/kernel.h"
#include "../src/prepare.h"
#include "../src/runs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SLACK: padding after the weights, as in a file. MANY_ROWS: more rows than any tile has. */
enum { SLACK = 1024, MANY_ROWS = 70 };

extern const Arithmetic arithmetic_portable;
#if defined(__x86_64__)
extern const Products products_avxvnni_evex, products_amx_plain;
#endif

static uint32_t seed = 1;

static uint32_t draw(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static void *room(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p) exit(2);
    memset(p, 0, (bytes + 63) / 64 * 64);
    return p;
}

/* How random weights and activations are drawn. */
enum { UNIFORM, SMALL, GAUSSIAN, GAUSSIAN_SMALL, LARGEST, SIGNS, ZERO, WAYS };
/* Only for activations: the largest one for each positive weight of a column and 0 for the others, or the reverse. */
enum { WORST = WAYS };

/* A weight with the distribution of trained weights: normal, clipped at `largest`. */
static int8_t gaussian(int largest) {
    double a = (draw() % 65536 + 1) / 65537.0, b = (draw() % 65536) / 65536.0;
    double x = sqrt(-2 * log(a)) * cos(2 * 3.14159265358979 * b) * largest / 3.5;
    return (int8_t)(x > largest ? largest : x < -largest ? -largest : x);
}

static void free_matrix(Matrix *m) {
    const void *const parts[] = {m->weights, m->sums, m->scale, m->bias};
    for (int i = 0; i < 4; i++) free((void *)parts[i]);
}

static int8_t weight(int way) {
    switch (way) {
    case UNIFORM: return (int8_t)((int)(draw() % 255) - 127);
    case SMALL: return (int8_t)((int)(draw() % 129) - 64);
    case GAUSSIAN: return gaussian(127);
    case GAUSSIAN_SMALL: return gaussian(64);
    case LARGEST: return 127;
    case SIGNS: return draw() % 2 ? 127 : -127;
    default: return 0;
    }
}

static uint8_t activation(int way, int most) {
    switch (way) {
    case LARGEST: return (uint8_t)most;
    case SIGNS: return draw() % 2 ? (uint8_t)most : 0;
    case ZERO: return 0;
    default: return (uint8_t)(draw() % ((unsigned)most + 1));
    }
}

/* A matrix of random weights in the order of the file. Padding of rows and columns is zero. */
static Matrix random_matrix(int inputs, int outputs, int way) {
    Matrix m = {.inputs = inputs, .outputs = outputs, .quads = (inputs + 3) / 4, .blocks = (outputs + 15) / 16};
    int8_t *weights = room((size_t)m.blocks * (size_t)m.quads * QUAD_BYTES + SLACK);
    int32_t *sums = room((size_t)m.blocks * BLOCK * sizeof(int32_t));
    for (int n = 0; n < outputs; n++)
        for (int k = 0; k < inputs; k++) {
            int8_t w = weight(way);
            weights[(((size_t)(n / 16) * (size_t)m.quads + (size_t)(k / 4)) * 16 + (size_t)(n % 16)) * 4 + k % 4] = w;
            sums[n] += w;
        }
    m.weights = weights;
    m.sums = sums;
    float *scale = room(sizeof(float) * (size_t)m.blocks * BLOCK);
    for (int n = 0; n < outputs; n++) scale[n] = 1;
    m.scale = scale;
    m.bias = room(sizeof(float) * (size_t)m.blocks * BLOCK);
    return m;
}

static int weight_of(const Matrix *m, int k, int n) {
    return m->weights[(((size_t)(n / 16) * (size_t)m->quads + (size_t)(k / 4)) * 16 + (size_t)(n % 16)) * 4 + k % 4];
}

static uint8_t *random_rows(const Matrix *m, int rows, int way, int most) {
    const size_t stride = row_bytes(m->inputs);
    uint8_t *in = room((size_t)rows * stride);
    for (int i = 0; i < rows; i++) {
        const int column = (int)(draw() % (unsigned)m->outputs), sign = i % 2 ? 1 : -1;
        for (int k = 0; k < m->inputs; k++) {
            uint8_t worst = sign * weight_of(m, k, column) > 0 ? (uint8_t)most : 0;
            in[(size_t)i * stride + (size_t)k] = way == WORST ? worst : activation(way, most);
        }
    }
    return in;
}

static int check_tile(const Kernel *kernel, const Matrix *m, int rows, int way) {
    const Products *mine = kernel->products;
    const size_t stride = row_bytes(m->inputs);
    uint8_t *in = random_rows(m, rows, way, mine->most);
    int wrong = 0, wide = mine->blocks_for(rows);
    const size_t bytes = sizeof(int32_t) * (size_t)(rows * wide * BLOCK);
    int32_t *found = room(bytes), *expected = room(bytes);
    if (mine->begin) mine->begin(rows);
    for (int block = 0; block < m->blocks && !wrong; block += wide) {
        int blocks = m->blocks - block < wide ? m->blocks - block : wide;
        mine->tile(m, block, blocks, in, stride, rows, found);
        products_portable.tile(m, block, blocks, in, stride, rows, expected);
        wrong = memcmp(found, expected, sizeof(int32_t) * (size_t)(rows * blocks * BLOCK)) != 0;
    }
    if (mine->end) mine->end();
    if (wrong) printf("%s: %d x %d, %d rows, way %d: not equal\n", kernel->name, m->inputs, m->outputs, rows, way);
    free(in);
    free(found);
    free(expected);
    return wrong;
}

/* Check a whole matmul of any number of rows. With scales of 1, the result has integer values. */
static int check_product(const Kernel *kernel, const Matrix *m, int rows, int say) {
    const size_t columns = (size_t)m->blocks * BLOCK, bytes = sizeof(float) * (size_t)rows * columns;
    Quantized in = {.stride = row_bytes(m->inputs)};
    in.rows = random_rows(m, rows, UNIFORM, kernel->products->most);
    in.scale = room(sizeof(float) * (size_t)rows);
    in.zero = room(sizeof(int32_t) * (size_t)rows);
    for (int i = 0; i < rows; i++) in.scale[i] = 1, in.zero[i] = (int32_t)(draw() % 256);
    float *found = room(bytes), *expected = room(bytes);
    Finish finish = {.out = found, .out_stride = columns};
    kernel->arithmetic->product(kernel->products, m, 0, m->blocks, &in, rows, &finish);
    finish.out = expected;
    arithmetic_portable.product(&products_portable, m, 0, m->blocks, &in, rows, &finish);
    int wrong = memcmp(found, expected, bytes) != 0;
    if (wrong && say) printf("%s: %d x %d, product of %d rows: not equal\n", kernel->name, m->inputs, m->outputs, rows);
    free(in.rows);
    free(in.scale);
    free(in.zero);
    free(found);
    free(expected);
    return wrong;
}

/* Check the largest number of inputs that a model file may have, with the weights and activations that give the largest
 * positive and negative sums. */
static int check_largest_sums(const Kernel *kernel) {
    int wrong = 0;
    for (int sign = 0; sign < 2; sign++) {
        Matrix m = random_matrix(1 << 16, BLOCK, LARGEST);
        if (sign) memset((void *)m.weights, -128, (size_t)m.quads * QUAD_BYTES);
        if (prepare_matrix(&m, kernel)) exit(2);
        wrong += check_tile(kernel, &m, 1, LARGEST) + check_tile(kernel, &m, kernel->products->max_rows, LARGEST);
        release_matrix(&m);
        free((void *)m.weights);
        free((void *)m.sums);
        free((void *)m.scale);
        free((void *)m.bias);
    }
    return wrong;
}

static int check_kernel(const Kernel *kernel) {
    static const int shapes[][2] = {{1, 1},     {3, 2},     {4, 16},   {5, 17},    {16, 40},  {24, 100}, {63, 33},
                                    {64, 64},   {65, 48},   {100, 7},  {128, 512}, {312, 96}, {384, 80}, {384, 1152},
                                    {770, 130}, {1001, 20}, {1536, 48}, {3072, 32}, {4100, 16}};
    int wrong = check_largest_sums(kernel), checked = 0;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int way = 0; way < WAYS; way++) {
            Matrix m = random_matrix(shapes[s][0], shapes[s][1], way);
            if (prepare_matrix(&m, kernel)) exit(2);
            /* If the tile has many rows, check each number of rows only with some of the weights. */
            const int step = kernel->products->max_rows > 16 ? 3 : 1;
            for (int rows = 1 + way % step; rows <= kernel->products->max_rows; rows += step, checked++)
                wrong += check_tile(kernel, &m, rows, (rows + way + (int)s) % (WORST + 1));
            for (int rows = 1; rows <= MANY_ROWS && m.blocks < 5; rows += 9, checked++)
                wrong += check_product(kernel, &m, rows, 1);
            release_matrix(&m);
            free_matrix(&m);
        }
    printf("%s: %d products, %d wrong\n", kernel->name, checked, wrong);
    return wrong;
}

/* Check damaged tables: if `runs_fit` accepts them, the kernel must run without a read out of bounds, even if the sums
 * are wrong. */
static int check_tables(const Kernel *kernel) {
    Matrix m = random_matrix(70, 40, GAUSSIAN);
    Runs good;
    if (make_runs(m.weights, m.quads, m.blocks, 255, &good)) exit(2);
    int wrong = !runs_fit(&good, m.quads, m.blocks), accepted = 0;
    for (int i = 0; i < 4000; i++) {
        /* Copy the tables to memory of the exact size, so that a read beyond the end is detected. */
        Runs r = good;
        const size_t sizes[] = {(size_t)m.blocks * sizeof(RunBlock), r.entries * sizeof(uint16_t), r.groups * 32u,
                                (size_t)m.blocks * BLOCK * sizeof(int32_t)};
        const void *const from[] = {good.block, good.order, good.offsets, good.start};
        uint8_t *copies[4];
        for (int k = 0; k < 4; k++) {
            if (!(copies[k] = malloc(sizes[k]))) exit(2);
            memcpy(copies[k], from[k], sizes[k]);
        }
        r.block = (RunBlock *)copies[0], r.order = (uint16_t *)copies[1];
        r.offsets = (int8_t *)copies[2], r.start = (int32_t *)copies[3];
        const int table = i % 8 < 4 ? 0 : i % 8 - 3;
        if (table < 4) copies[table][draw() % sizes[table]] = (uint8_t)draw();
        else r.entries -= draw() % 3, r.groups -= draw() % 3;
        m.runs = r;
        if (runs_fit(&r, m.quads, m.blocks)) accepted++, check_product(kernel, &m, 13, 0);
        for (int k = 0; k < 4; k++) free(copies[k]);
    }
    m.runs = good;
    wrong += check_product(kernel, &m, 13, 1);
    printf("tables: %d of 4000 damaged ones accepted, %d wrong\n", accepted, wrong);
    free_runs(&good);
    free_matrix(&m);
    return wrong + (accepted < 100 || accepted > 3000);
}

int main(void) {
    int wrong = 0;
    for (int i = 0; kernels[i]; i++)
        if (kernels[i]->runs_here() && kernels[i + 1]) wrong += check_kernel(kernels[i]);
    const Kernel *avx2 = find_kernel("avx2");
    if (avx2) wrong += check_tables(avx2);
#if defined(__x86_64__)
    const Kernel amx = {"amx in plain C", NULL, &products_amx_plain, &arithmetic_portable};
    wrong += check_kernel(&amx);
    const Kernel evex = {"avx-vnni by AVX-512", NULL, &products_avxvnni_evex, &arithmetic_portable};
    if (find_kernel("avx512-vnni")) wrong += check_kernel(&evex);
#endif
    return wrong != 0;
}
