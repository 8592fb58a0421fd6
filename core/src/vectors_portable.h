/* Vectors of 8 numbers in plain C. This file defines the behaviour of the functions of every vectors_*.h. */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8 };
typedef struct { float at[LANES]; } V;
typedef struct { int32_t at[LANES]; } VI;
#define EACH(i) for (int i = 0; i < LANES; i++)

static inline V v_set(float x) { V r; EACH(i) r.at[i] = x; return r; }
static inline V v_load(const float *p) { V r; memcpy(&r, p, sizeof r); return r; }
static inline void v_store(float *p, V v) { memcpy(p, &v, sizeof v); }
/* Functions of the first n lanes, n from 1 to LANES. Other lanes are 0, are not written, or come from `rest`. */
static inline V v_load_n(const float *p, int n) { V r; EACH(i) r.at[i] = i < n ? p[i] : 0.0f; return r; }
static inline void v_store_n(float *p, V v, int n) { for (int i = 0; i < n; i++) p[i] = v.at[i]; }
static inline V v_first_n(V v, int n, V rest) { EACH(i) if (i >= n) v.at[i] = rest.at[i]; return v; }
static inline V v_add(V a, V b) { EACH(i) a.at[i] += b.at[i]; return a; }
static inline V v_sub(V a, V b) { EACH(i) a.at[i] -= b.at[i]; return a; }
static inline V v_mul(V a, V b) { EACH(i) a.at[i] *= b.at[i]; return a; }
static inline V v_div(V a, V b) { EACH(i) a.at[i] /= b.at[i]; return a; }
/* a * b + c, with one rounding or two. */
static inline V v_fma(V a, V b, V c) { EACH(i) c.at[i] += a.at[i] * b.at[i]; return c; }
/* 1 / v, for numbers that are neither tiny nor huge. */
static inline V v_reciprocal(V v) { EACH(i) v.at[i] = 1.0f / v.at[i]; return v; }
/* Returns the second number if one of them is NaN. */
static inline V v_min(V a, V b) { EACH(i) b.at[i] = a.at[i] < b.at[i] ? a.at[i] : b.at[i]; return b; }
static inline V v_max(V a, V b) { EACH(i) b.at[i] = a.at[i] > b.at[i] ? a.at[i] : b.at[i]; return b; }
static inline float v_sum(V v) {
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) v.at[i] += v.at[i + half];
    return v.at[0];
}
static inline float v_lowest(V v) { float r = v.at[0]; EACH(i) r = v.at[i] < r ? v.at[i] : r; return r; }
static inline float v_highest(V v) { float r = v.at[0]; EACH(i) r = v.at[i] > r ? v.at[i] : r; return r; }
/* Round to the nearest whole number, ties to even; the result is undefined for NaN and out of range. */
static inline VI v_round(V v) {
    VI r;
    EACH(i) r.at[i] = fabsf(v.at[i]) < 2147483520.0f ? (int32_t)rintf(v.at[i]) : INT32_MIN;
    return r;
}
static inline V v_float(VI v) { V r; EACH(i) r.at[i] = (float)v.at[i]; return r; }
/* 2 to the power of n, -126 to 127. */
static inline V v_pow2(VI n) {
    V r;
    EACH(i) { uint32_t bits = (uint32_t)(n.at[i] + 127) << 23; memcpy(&r.at[i], &bits, 4); }
    return r;
}
static inline VI vi_set(int32_t x) { VI r; EACH(i) r.at[i] = x; return r; }
static inline VI vi_load(const int32_t *p) { VI r; memcpy(&r, p, sizeof r); return r; }
static inline VI vi_load_i8(const int8_t *p) { VI r; EACH(i) r.at[i] = p[i]; return r; }
/* Sums, differences and products wrap around. */
static inline VI vi_add(VI a, VI b) { EACH(i) a.at[i] = (int32_t)((uint32_t)a.at[i] + (uint32_t)b.at[i]); return a; }
static inline VI vi_sub(VI a, VI b) { EACH(i) a.at[i] = (int32_t)((uint32_t)a.at[i] - (uint32_t)b.at[i]); return a; }
static inline VI vi_mul(VI a, VI b) { EACH(i) a.at[i] = (int32_t)((uint32_t)a.at[i] * (uint32_t)b.at[i]); return a; }
/* Convert to bytes: clamp to 0 .. `most`. */
static inline void vi_store_u8(uint8_t *p, VI v, VI most) {
    EACH(i) p[i] = (uint8_t)(v.at[i] < 0 ? 0 : v.at[i] > most.at[i] ? most.at[i] : v.at[i]);
}
