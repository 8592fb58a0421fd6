/* Vectors of 16 numbers: AVX-512 F, BW, DQ and VL. vectors_portable.h describes the functions. */
#include <immintrin.h>
#include <stdint.h>

enum { LANES = 16 };
typedef __m512 V;
typedef __m512i VI;

static inline __mmask16 first_lanes(int n) { return (__mmask16)((1u << n) - 1); }
static inline V v_set(float x) { return _mm512_set1_ps(x); }
static inline V v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, V v) { _mm512_storeu_ps(p, v); }
static inline V v_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
static inline void v_store_n(float *p, V v, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
static inline V v_first_n(V v, int n, V rest) { return _mm512_mask_mov_ps(rest, first_lanes(n), v); }
static inline V v_add(V a, V b) { return _mm512_add_ps(a, b); }
static inline V v_sub(V a, V b) { return _mm512_sub_ps(a, b); }
static inline V v_mul(V a, V b) { return _mm512_mul_ps(a, b); }
static inline V v_div(V a, V b) { return _mm512_div_ps(a, b); }
static inline V v_fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
/* 1 / v for numbers that are neither tiny nor huge, relative error about 1e-7. */
static inline V v_reciprocal(V v) {
    V r = _mm512_rcp14_ps(v);
    return v_mul(r, _mm512_fnmadd_ps(v, r, _mm512_set1_ps(2.0f)));
}
static inline V v_min(V a, V b) { return _mm512_min_ps(a, b); }
static inline V v_max(V a, V b) { return _mm512_max_ps(a, b); }
static inline float v_sum(V v) { return _mm512_reduce_add_ps(v); }
static inline float v_lowest(V v) { return _mm512_reduce_min_ps(v); }
static inline float v_highest(V v) { return _mm512_reduce_max_ps(v); }
static inline VI v_round(V v) { return _mm512_cvtps_epi32(v); }
static inline V v_float(VI v) { return _mm512_cvtepi32_ps(v); }
static inline V v_pow2(VI n) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(127)), 23)); }
static inline VI vi_set(int32_t x) { return _mm512_set1_epi32(x); }
static inline VI vi_load(const int32_t *p) { return _mm512_loadu_si512(p); }
static inline VI vi_load_i8(const int8_t *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)); }
static inline VI vi_add(VI a, VI b) { return _mm512_add_epi32(a, b); }
static inline VI vi_sub(VI a, VI b) { return _mm512_sub_epi32(a, b); }
static inline VI vi_mul(VI a, VI b) { return _mm512_mullo_epi32(a, b); }
static inline void vi_store_u8(uint8_t *p, VI v, VI most) {
    v = _mm512_min_epi32(_mm512_max_epi32(v, _mm512_setzero_si512()), most);
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(v));
}

#define OWN_EXP
/* e^x = 2^t = 2^floor(t) 2^f. The relative error of 2^f is 7.5e-8, and the rounding error of t is half of its last bit.
 * The result is 0 for very negative x, and NaN for NaN. */
static inline V v_exp(V x) {
    const V t = _mm512_mul_ps(x, v_set(1.44269504089f)), f = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF);
    V p = v_fma(v_set(1.877575011e-3f), f, v_set(8.989344512e-3f));
    p = v_fma(p, f, v_set(5.582631382e-2f));
    p = v_fma(p, f, v_set(2.401536188e-1f));
    p = v_fma(p, f, v_set(6.931530729e-1f));
    p = v_fma(p, f, v_set(9.999999251e-1f));
    return _mm512_scalef_ps(p, t);
}
