// What CuPy's generated kernels take from CUDA, for a C++ compiler on a CPU.
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline

struct Dim3 { unsigned int x, y, z; };
static Dim3 threadIdx, blockIdx, blockDim, gridDim;

static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
static inline int __popc(unsigned int x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline float max(float a, float b) { return std::fmax(a, b); }
static inline float min(float a, float b) { return std::fmin(a, b); }
static inline double max(double a, double b) { return std::fmax(a, b); }
static inline double min(double a, double b) { return std::fmin(a, b); }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __dadd_rn(double a, double b) { return a + b; }

// CuPy 14's float16 names these in members that no kernel here calls.
struct half;
static inline unsigned short __half_as_ushort(half);
static inline half __ushort_as_half(unsigned short);

static inline float __half2float(unsigned short half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    const int exponent = (half >> 10) & 0x1f;
    const uint32_t fraction = half & 0x3ffu;
    if (exponent < 31) {
        // A fraction of 2**-24 times 2**exponent; exponent 0 has no hidden bit.
        const float value = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
            : std::ldexp(static_cast<float>(fraction | 0x400u), exponent - 25);
        return sign ? -value : value;
    }
    const uint32_t bits = sign | 0x7f800000u | (fraction << 13);
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
}

// To the nearest, halves to the even one.
static inline unsigned short __float2half_rn(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    const unsigned short sign = static_cast<unsigned short>((bits >> 16) & 0x8000u);
    if (std::isnan(value)) return sign | 0x7e00u;
    const float magnitude = std::fabs(value);
    if (magnitude >= 65520.f) return sign | 0x7c00u;
    int exponent;
    std::frexp(magnitude, &exponent);  // magnitude < 2**exponent
    const int step = exponent - 11 > -24 ? exponent - 11 : -24;  // 2**step between neighbours
    const float steps = std::nearbyint(std::ldexp(magnitude, -step));
    const float rounded = std::ldexp(steps, step);
    if (rounded == 0) return sign;
    std::frexp(rounded, &exponent);
    if (exponent <= -14) return sign | static_cast<unsigned short>(std::ldexp(rounded, 24));
    const unsigned short fraction =
        static_cast<unsigned short>(std::ldexp(rounded, 11 - exponent)) & 0x3ffu;
    return sign | static_cast<unsigned short>((exponent + 14) << 10) | fraction;
}
