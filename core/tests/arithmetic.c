/* Compare the FP32 arithmetic of every vector width that this processor supports with double precision. Exits with 0 if
 * all errors are within the documented limits: 2e-6 for GELU and softmax; the rounding of the weights for attention in
 * bfloat16. */
#include "../src/kernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
extern const Arithmetic arithmetic_amx_plain;
#endif

static uint32_t seed = 1;
static const char *name;
static int wrong;

static double draw(void) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) / 16777216.0;
}

static double normal(void) { return sqrt(-2 * log(draw() + 1e-12)) * cos(6.283185307179586 * draw()); }

/* Truncate a number so that bfloat16 represents it exactly. */
static float bfloat16(double x) {
    float value = (float)x;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bits &= 0xffff0000u;
    memcpy(&value, &bits, 4);
    return value;
}

static float *room(size_t numbers) {
    float *p = aligned_alloc(64, (numbers * sizeof(float) + 63) / 64 * 64);
    if (!p) exit(2);
    memset(p, 0, (numbers * sizeof(float) + 63) / 64 * 64);
    return p;
}

/* Return the larger error. NaN counts as the largest error. */
static double worse(double most, double error) { return isnan(most) || error <= most ? most : error; }

static void report(const char *what, double error, double most) {
    printf("%s: %s is off by %.2g, %.2g allowed\n", name, what, error, most);
    /* An error of NaN is a failure too. */
    if (!(error <= most)) wrong++;
}

static double exact(Activation activation, double x) {
    switch (activation) {
    case GELU: return x * 0.5 * erfc(-x / sqrt(2));
    case GELU_TANH: return x * 0.5 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case RELU: return x > 0 ? x : 0;
    case TANH: return tanh(x);
    case SIGMOID: return 1 / (1 + exp(-x));
    case SILU: return x / (1 + exp(-x));
    default: return x;
    }
}

/* Largest error of an activation function for inputs from -limit to limit. For results above 1 the error is
 * relative. */
static double activation_error(const Arithmetic *math, Activation activation, double limit) {
    enum { COUNT = 400003 };
    float *row = room(COUNT + BLOCK), *in = room(COUNT + BLOCK);
    for (int i = 0; i < COUNT; i++) row[i] = in[i] = (float)(limit * (2.0 * i / (COUNT - 1) - 1));
    math->activate(activation, row, COUNT);
    double most = 0;
    for (int i = 0; i < COUNT; i++) {
        double right = exact(activation, in[i]);
        most = worse(most, fabs(row[i] - right) / fmax(right, 1));
    }
    free(row);
    free(in);
    return most;
}

/* Largest error of softmax. If the values are unit vectors, attention returns the softmax: it is checked for the first
 * WIDTH tokens. */
static double softmax_error(const Arithmetic *math, int tokens, double spread) {
    enum { WIDTH = 24, HEADS = 2, STRIDE = 64 };
    float *query = room((size_t)tokens * STRIDE), *key = room((size_t)tokens * STRIDE);
    float *value = room((size_t)tokens * STRIDE), *context = room((size_t)tokens * STRIDE);
    float *scratch = room(math->attention_scratch(tokens, WIDTH));
    for (int i = 0; i < tokens; i++)
        for (int h = 0; h < HEADS; h++) {
            query[i * STRIDE + h * WIDTH + i % WIDTH] = 1;
            for (int d = 0; d < WIDTH; d++) key[i * STRIDE + h * WIDTH + d] = bfloat16(spread * normal());
            if (i < WIDTH) value[i * STRIDE + h * WIDTH + i] = 1;
        }
    Attention a = {.query = query, .key = key, .value = value, .stride = STRIDE, .tokens = tokens, .queries = tokens,
                   .heads = HEADS, .head_width = WIDTH, .context = context, .context_stride = STRIDE,
                   .scratch = scratch};
    math->attend(&a);
    double most = 0;
    for (int i = 0; i < tokens; i++)
        for (int h = 0; h < HEADS; h++) {
            double top = -1e300, sum = 0;
            for (int j = 0; j < tokens; j++) top = fmax(top, key[j * STRIDE + h * WIDTH + i % WIDTH]);
            for (int j = 0; j < tokens; j++) sum += exp(key[j * STRIDE + h * WIDTH + i % WIDTH] - top);
            for (int j = 0; j < tokens && j < WIDTH; j++) {
                double right = exp(key[j * STRIDE + h * WIDTH + i % WIDTH] - top) / sum;
                double error = fabs(context[i * STRIDE + h * WIDTH + j] - right);
                most = worse(most, error);
            }
        }
    free(query), free(key), free(value), free(context), free(scratch);
    return most;
}

/* Largest error of attention with heads of any width, for the first `queries` tokens. The inputs are exact in
 * bfloat16. */
static double attention_error(const Arithmetic *math, int tokens, int queries, int width) {
    enum { HEADS = 2 };
    const int stride = HEADS * width + 3;
    const size_t size = (size_t)tokens * (size_t)stride;
    float *query = room(size), *key = room(size), *value = room(size), *context = room(size);
    float *scratch = room(math->attention_scratch(tokens, width));
    for (size_t i = 0; i < size; i++)
        query[i] = bfloat16(normal() / sqrt(width)), key[i] = bfloat16(2 * normal()), value[i] = bfloat16(normal());
    Attention a = {.query = query, .key = key, .value = value, .stride = (size_t)stride, .tokens = tokens,
                   .queries = queries, .heads = HEADS, .head_width = width, .context = context,
                   .context_stride = (size_t)stride, .scratch = scratch};
    math->attend(&a);
    double most = 0, *weight = malloc(sizeof(double) * (size_t)tokens);
    if (!weight) exit(2);
    for (int i = 0; i < queries; i++)
        for (int h = 0; h < HEADS; h++) {
            double top = -1e300, sum = 0;
            for (int j = 0; j < tokens; j++) {
                weight[j] = 0;
                for (int d = 0; d < width; d++)
                    weight[j] += (double)query[i * stride + h * width + d] * key[j * stride + h * width + d];
                top = fmax(top, weight[j]);
            }
            for (int j = 0; j < tokens; j++) sum += weight[j] = exp(weight[j] - top);
            for (int d = 0; d < width; d++) {
                double right = 0;
                for (int j = 0; j < tokens; j++) right += weight[j] / sum * value[j * stride + h * width + d];
                most = worse(most, fabs(context[i * stride + h * width + d] - right));
            }
        }
    free(query), free(key), free(value), free(context), free(scratch), free(weight);
    return most;
}

/* Largest error of a norm, and of its quantized result in units of the scale. */
static void check_norm(const Arithmetic *math, int width, double *error, double *steps) {
    enum { ROWS = 3 };
    const size_t stride = ((size_t)width + BLOCK - 1) / BLOCK * BLOCK, bytes = row_bytes(width);
    float *in = room(ROWS * stride), *out = room(ROWS * stride), *weight = room(stride), *bias = room(stride);
    float scale[ROWS];
    int32_t zero[ROWS];
    Quantized quantized = {.rows = (uint8_t *)room(ROWS * bytes / sizeof(float)), .stride = bytes, .scale = scale,
                           .zero = zero};
    for (int k = 0; k < width; k++) {
        weight[k] = (float)(1 + 0.2 * normal()), bias[k] = (float)(0.2 * normal());
        for (int i = 0; i < ROWS; i++) in[(size_t)i * stride + (size_t)k] = (float)(3 * normal() + i);
    }
    math->norm(in, ROWS, width, (Norm){weight, bias}, 1e-12f, out, &quantized, NULL, 255);
    for (int i = 0; i < ROWS; i++) {
        const float *x = in + (size_t)i * stride, *y = out + (size_t)i * stride;
        double mean = 0, squares = 0;
        for (int k = 0; k < width; k++) mean += x[k] / (double)width;
        for (int k = 0; k < width; k++) squares += (x[k] - mean) * (x[k] - mean) / width;
        for (int k = 0; k < width; k++) {
            double right = (x[k] - mean) / sqrt(squares + 1e-12) * weight[k] + bias[k];
            double off = fabs(y[k] - right) / fmax(1, fabs(right));
            double whole = fabs(y[k] / scale[i] + zero[i] - quantized.rows[(size_t)i * bytes + (size_t)k]);
            *error = worse(*error, off);
            *steps = worse(*steps, whole);
        }
    }
    free(in), free(out), free(weight), free(bias), free(quantized.rows);
}

static void check_nan(const Arithmetic *math) {
    enum { WIDTH = 40 };
    for (int at = 0; at < WIDTH; at++)
        for (int way = 0; way < 3; way++) {
            const float odd[] = {NAN, INFINITY, -INFINITY};
            float *in = room(48), scale[1];
            int32_t zero[1];
            Quantized q = {.rows = (uint8_t *)room(16), .stride = 64, .scale = scale, .zero = zero};
            for (int k = 0; k < WIDTH; k++) in[k] = (float)normal();
            in[at] = odd[way];
            math->quantize(in, 48, 1, WIDTH, NULL, NULL, &q, 255);
            if (!isnan(scale[0])) wrong++, printf("%s: a row with %g has the scale %g\n", name, in[at], scale[0]);
            free(in), free(q.rows);
        }
}

static void check(const Arithmetic *math) {
    report("GELU", activation_error(math, GELU, 100), 2e-6);
    report("GELU by tanh", activation_error(math, GELU_TANH, 100), 2e-6);
    report("ReLU", activation_error(math, RELU, 100), 0);
    report("tanh", activation_error(math, TANH, 100), 1e-6);
    report("sigmoid", activation_error(math, SIGMOID, 100), 1e-6);
    report("SiLU", activation_error(math, SILU, 100), 2e-6);
    double softmax = 0, context = 0, norm = 0, steps = 0;
    for (int tokens = 1; tokens < 150; tokens += 1 + tokens / 20)
        for (double spread = 0.1; spread < 40; spread *= 3)
            softmax = worse(softmax, softmax_error(math, tokens, spread));
    for (int width = 2; width < 1100; width += 1 + width / 7) check_norm(math, width, &norm, &steps);
    for (int width = 8; width <= 136; width += 8)
        for (int tokens = 1; tokens < 100; tokens += 1 + tokens / 4)
            for (int queries = 1; queries <= tokens; queries += tokens > 1 ? tokens - 1 : 1)
                context = worse(context, attention_error(math, tokens, queries, width));
    /* Weights with 8 significant bits have a rounding error of half of the last bit. */
    const int rounds = strstr(name, "bf16") || strstr(name, "amx");
    report("softmax", softmax, rounds ? 1.0 / 256 : 2e-6);
    report("attention", context, rounds ? 1.0 / 64 : 1e-5);
    report("a norm", norm, 1e-5);
    report("a quantized number, in steps,", steps, 0.501);
    check_nan(math);
}

int main(void) {
    const Arithmetic *last = NULL;
    for (int i = 0; kernels[i]; i++) {
        /* Kernels with the same vector width are adjacent in the list: check each width once. */
        if (!kernels[i]->runs_here() || kernels[i]->arithmetic == last) continue;
        last = kernels[i]->arithmetic;
        name = kernels[i]->name;
        check(last);
    }
#if defined(__x86_64__)
    name = "amx in plain C";
    if (find_kernel("avx512-vnni-bf16")) check(&arithmetic_amx_plain);
#endif
    return wrong != 0;
}
