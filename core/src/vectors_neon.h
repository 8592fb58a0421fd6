/* Vectors of 8 numbers in pairs of registers: ARMv8.0 NEON. vectors_portable.h describes the functions. */
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 8 };
typedef struct { float32x4_t a, b; } V;
typedef struct { int32x4_t a, b; } VI;

static inline V v_set(float x) { return (V){vdupq_n_f32(x), vdupq_n_f32(x)}; }
static inline V v_load(const float *p) { return (V){vld1q_f32(p), vld1q_f32(p + 4)}; }
static inline void v_store(float *p, V v) { vst1q_f32(p, v.a), vst1q_f32(p + 4, v.b); }
static inline V v_load_n(const float *p, int n) {
    float lanes[LANES] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return v_load(lanes);
}
static inline void v_store_n(float *p, V v, int n) {
    float lanes[LANES];
    v_store(lanes, v);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}
static inline V v_first_n(V v, int n, V rest) {
    static const int32_t numbers[LANES] = {0, 1, 2, 3, 4, 5, 6, 7};
    const int32x4_t end = vdupq_n_s32(n);
    return (V){vbslq_f32(vcltq_s32(vld1q_s32(numbers), end), v.a, rest.a),
               vbslq_f32(vcltq_s32(vld1q_s32(numbers + 4), end), v.b, rest.b)};
}
static inline V v_add(V x, V y) { return (V){vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b)}; }
static inline V v_sub(V x, V y) { return (V){vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b)}; }
static inline V v_mul(V x, V y) { return (V){vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b)}; }
static inline V v_div(V x, V y) { return (V){vdivq_f32(x.a, y.a), vdivq_f32(x.b, y.b)}; }
static inline float32x4_t reciprocal(float32x4_t x) {
    float32x4_t r = vrecpeq_f32(x);
    r = vmulq_f32(r, vrecpsq_f32(x, r));
    return vmulq_f32(r, vrecpsq_f32(x, r));
}
/* 1 / v for numbers that are neither tiny nor huge, relative error about 1e-7. */
static inline V v_reciprocal(V v) { return (V){reciprocal(v.a), reciprocal(v.b)}; }
static inline V v_fma(V x, V y, V z) { return (V){vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b)}; }
/* FMIN and FMAX would return NaN if one number is NaN. */
static inline V v_min(V x, V y) {
    return (V){vbslq_f32(vcltq_f32(x.a, y.a), x.a, y.a), vbslq_f32(vcltq_f32(x.b, y.b), x.b, y.b)};
}
static inline V v_max(V x, V y) {
    return (V){vbslq_f32(vcgtq_f32(x.a, y.a), x.a, y.a), vbslq_f32(vcgtq_f32(x.b, y.b), x.b, y.b)};
}
static inline float v_sum(V v) { return vaddvq_f32(vaddq_f32(v.a, v.b)); }
static inline float v_lowest(V v) { return vminvq_f32(vminq_f32(v.a, v.b)); }
static inline float v_highest(V v) { return vmaxvq_f32(vmaxq_f32(v.a, v.b)); }
static inline VI v_round(V v) { return (VI){vcvtnq_s32_f32(v.a), vcvtnq_s32_f32(v.b)}; }
static inline V v_float(VI v) { return (V){vcvtq_f32_s32(v.a), vcvtq_f32_s32(v.b)}; }
static inline VI vi_set(int32_t x) { return (VI){vdupq_n_s32(x), vdupq_n_s32(x)}; }
static inline VI vi_load(const int32_t *p) { return (VI){vld1q_s32(p), vld1q_s32(p + 4)}; }
static inline VI vi_load_i8(const int8_t *p) {
    const int16x8_t wide = vmovl_s8(vld1_s8(p));
    return (VI){vmovl_s16(vget_low_s16(wide)), vmovl_high_s16(wide)};
}
static inline VI vi_add(VI x, VI y) { return (VI){vaddq_s32(x.a, y.a), vaddq_s32(x.b, y.b)}; }
static inline VI vi_sub(VI x, VI y) { return (VI){vsubq_s32(x.a, y.a), vsubq_s32(x.b, y.b)}; }
static inline VI vi_mul(VI x, VI y) { return (VI){vmulq_s32(x.a, y.a), vmulq_s32(x.b, y.b)}; }
static inline V v_pow2(VI n) {
    n = vi_add(n, vi_set(127));
    return (V){vreinterpretq_f32_s32(vshlq_n_s32(n.a, 23)), vreinterpretq_f32_s32(vshlq_n_s32(n.b, 23))};
}
static inline void vi_store_u8(uint8_t *p, VI v, VI most) {
    const int32x4_t zero = vdupq_n_s32(0);
    const int16x8_t both = vcombine_s16(vmovn_s32(vminq_s32(vmaxq_s32(v.a, zero), most.a)),
                                        vmovn_s32(vminq_s32(vmaxq_s32(v.b, zero), most.b)));
    vst1_u8(p, vreinterpret_u8_s8(vmovn_s16(both)));
}
