/* Vectors of 8 numbers: AVX2 and FMA. vectors_portable.h describes the functions. */
#include <immintrin.h>
#include <stdint.h>

enum { LANES = 8 };
typedef __m256 V;
typedef __m256i VI;

static inline __m256i first_lanes(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline V v_set(float x) { return _mm256_set1_ps(x); }
static inline V v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, V v) { _mm256_storeu_ps(p, v); }
static inline V v_load_n(const float *p, int n) { return _mm256_maskload_ps(p, first_lanes(n)); }
static inline void v_store_n(float *p, V v, int n) { _mm256_maskstore_ps(p, first_lanes(n), v); }
static inline V v_first_n(V v, int n, V rest) { return _mm256_blendv_ps(rest, v, _mm256_castsi256_ps(first_lanes(n))); }
static inline V v_add(V a, V b) { return _mm256_add_ps(a, b); }
static inline V v_sub(V a, V b) { return _mm256_sub_ps(a, b); }
static inline V v_mul(V a, V b) { return _mm256_mul_ps(a, b); }
static inline V v_div(V a, V b) { return _mm256_div_ps(a, b); }
static inline V v_fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
static inline V v_reciprocal(V v) { return _mm256_div_ps(_mm256_set1_ps(1.0f), v); }
static inline V v_min(V a, V b) { return _mm256_min_ps(a, b); }
static inline V v_max(V a, V b) { return _mm256_max_ps(a, b); }
static inline float v_sum(V v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float v_highest(V v) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
static inline float v_lowest(V v) { return -v_highest(_mm256_sub_ps(_mm256_setzero_ps(), v)); }
static inline VI v_round(V v) { return _mm256_cvtps_epi32(v); }
static inline V v_float(VI v) { return _mm256_cvtepi32_ps(v); }
static inline V v_pow2(VI n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23)); }
static inline VI vi_set(int32_t x) { return _mm256_set1_epi32(x); }
static inline VI vi_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline VI vi_load_i8(const int8_t *p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
static inline VI vi_add(VI a, VI b) { return _mm256_add_epi32(a, b); }
static inline VI vi_sub(VI a, VI b) { return _mm256_sub_epi32(a, b); }
static inline VI vi_mul(VI a, VI b) { return _mm256_mullo_epi32(a, b); }
static inline void vi_store_u8(uint8_t *p, VI v, VI most) {
    v = _mm256_min_epi32(_mm256_max_epi32(v, _mm256_setzero_si256()), most);
    v = _mm256_packus_epi16(_mm256_packus_epi32(v, v), _mm256_setzero_si256());
    __m128i four = _mm_unpacklo_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *)p, four);
}
