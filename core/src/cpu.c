/* Detect which kernels this processor supports. */
#include "kernel.h"

#include <string.h>

extern const Arithmetic arithmetic_portable;
extern const Products products_portable;

static int always(void) { return 1; }

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

extern const Arithmetic arithmetic_avx2, arithmetic_avx512, arithmetic_avx512bf16, arithmetic_amx;
extern const Products products_amx, products_avx2, products_avx512vnni, products_avxvnni;

static unsigned long long enabled_state(void) {
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long long)high << 32 | low;
}

typedef struct Features { int avx2, avx_vnni, avx512_vnni, avx512_bf16, amx; } Features;

static Features features(void) {
    Features f = {0, 0, 0, 0, 0};
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return f;
    const int fma = c >> 12 & 1;
    const unsigned long long state = enabled_state();
    if ((state & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
    f.avx2 = (b >> 5 & 1) && fma;
    const int wide = (state & 0xe6) == 0xe6 && (b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1);
    f.avx512_vnni = f.avx2 && wide && (c >> 11 & 1);
    f.amx = f.avx512_vnni && (state >> 17 & 3) == 3 && (d >> 24 & 1) && (d >> 25 & 1);
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) {
        f.avx_vnni = f.avx2 && (a >> 4 & 1);
        f.avx512_bf16 = f.avx512_vnni && (a >> 5 & 1);
    }
    f.amx = f.amx && f.avx512_bf16;
    return f;
}

/* Linux lets a process use tiles only after it has requested permission. */
static int may_use_tiles(void) {
#if defined(__linux__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return 0;
#endif
}

static int has_amx(void) { return features().amx && may_use_tiles(); }

/* Intel's VDPBF16PS is not faster than FP32: on Emerald Rapids, a text of 128 tokens took 1.1 times as long with it. */
static int has_fast_bf16(void) {
    unsigned a, b, c, d;
    return features().avx512_bf16 && __get_cpuid(0, &a, &b, &c, &d) && b != 0x756e6547; /* "Genu" */
}

static int has_slow_bf16(void) { return features().avx512_bf16 && !has_fast_bf16(); }
static int has_avx512_vnni(void) { return features().avx512_vnni; }
static int has_avx_vnni(void) { return features().avx_vnni; }
static int has_avx2(void) { return features().avx2; }

static const Kernel amx = {"amx", has_amx, &products_amx, &arithmetic_amx};
static const Kernel avx512_bf16 = {"avx512-vnni-bf16", has_fast_bf16, &products_avx512vnni, &arithmetic_avx512bf16};
static const Kernel slow_bf16 = {"avx512-vnni-bf16", has_slow_bf16, &products_avx512vnni, &arithmetic_avx512bf16};
static const Kernel avx512_vnni = {"avx512-vnni", has_avx512_vnni, &products_avx512vnni, &arithmetic_avx512};
static const Kernel avx_vnni = {"avx-vnni", has_avx_vnni, &products_avxvnni, &arithmetic_avx2};
static const Kernel avx2 = {"avx2", has_avx2, &products_avx2, &arithmetic_avx2};
#endif

#if defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <stddef.h>
#include <sys/sysctl.h>
#elif defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#endif

extern const Arithmetic arithmetic_neon;
extern const Products products_neon, products_neon_dotprod, products_neon_i8mm;

/* Feature numbers as in the headers of Linux and Windows. Older headers do not define their names. */
#if defined(__linux__)
static int has_dotprod(void) { return getauxval(AT_HWCAP) >> 20 & 1; }
static int has_i8mm(void) { return has_dotprod() && getauxval(AT_HWCAP2) >> 13 & 1; }
#elif defined(__APPLE__)
static int has(const char *feature) {
    int value = 0;
    size_t size = sizeof value;
    return !sysctlbyname(feature, &value, &size, NULL, 0) && value;
}
static int has_dotprod(void) { return has("hw.optional.arm.FEAT_DotProd"); }
static int has_i8mm(void) { return has_dotprod() && has("hw.optional.arm.FEAT_I8MM"); }
#elif defined(_WIN32)
static int has_dotprod(void) { return IsProcessorFeaturePresent(43) != 0; }
static int has_i8mm(void) { return has_dotprod() && IsProcessorFeaturePresent(66) != 0; }
#else
static int has_dotprod(void) { return 0; }
static int has_i8mm(void) { return 0; }
#endif

static const Kernel neon_i8mm = {"neon-i8mm", has_i8mm, &products_neon_i8mm, &arithmetic_neon};
static const Kernel neon_dotprod = {"neon-dotprod", has_dotprod, &products_neon_dotprod, &arithmetic_neon};
static const Kernel neon = {"neon", always, &products_neon, &arithmetic_neon};
#endif

static const Kernel portable = {"portable", always, &products_portable, &arithmetic_portable};

const Kernel *const kernels[] = {
#if defined(__x86_64__)
    &amx,
    &avx512_bf16,
    &avx512_vnni,
    &slow_bf16,
    &avx_vnni,
    &avx2,
#elif defined(__aarch64__)
    &neon_i8mm,
    &neon_dotprod,
    &neon,
#endif
    &portable,
    NULL,
};

const Kernel *find_kernel(const char *name) {
    for (int i = 0; kernels[i]; i++)
        if (kernels[i]->runs_here() && (!name || !strcmp(name, kernels[i]->name))) return kernels[i];
    return NULL;
}
