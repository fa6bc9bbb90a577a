// Stands for libcudnn.so.9 without a GPU: the functions that chainer_zoo.cudnn binds, as plain
// loops on memory of the host. It is as strict as the real one, or more: sizes, types, alignment
// and the workspace have to be right, results are spoilt by trying algorithms, and alpha and beta
// are read in the type that the arrays call for. With -DTRUE_HEADERS the signatures are checked
// against cudnn.h.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "cpu_cuda.h"

#ifdef TRUE_HEADERS
#include <cudnn.h>
#else
typedef int cudnnStatus_t, cudnnDataType_t, cudnnTensorFormat_t, cudnnConvolutionMode_t;
typedef int cudnnMathType_t, cudnnDeterminism_t, cudnnBatchNormMode_t;
typedef int cudnnConvolutionFwdAlgo_t, cudnnConvolutionBwdDataAlgo_t;
typedef int cudnnConvolutionBwdFilterAlgo_t;
typedef struct cudnnContext* cudnnHandle_t;
typedef struct CUstream_st* cudaStream_t;
typedef struct cudnnTensorStruct* cudnnTensorDescriptor_t;
typedef struct cudnnFilterStruct* cudnnFilterDescriptor_t;
typedef struct cudnnConvolutionStruct* cudnnConvolutionDescriptor_t;
struct Perf {
    int algo;
    cudnnStatus_t status;
    float time;
    size_t memory;
    cudnnDeterminism_t determinism;
    cudnnMathType_t mathType;
    int reserved[3];
};
typedef Perf cudnnConvolutionFwdAlgoPerf_t, cudnnConvolutionBwdDataAlgoPerf_t;
typedef Perf cudnnConvolutionBwdFilterAlgoPerf_t;
#endif

enum { OK = 0, BAD = 2000, UNSUPPORTED = 3000, NO_MEMORY = 4004, FLOAT = 0, DOUBLE = 1, HALF = 2 };

struct Shape { int type, n, c, h, w; };
struct cudnnContext { cudaStream_t stream; };
struct cudnnTensorStruct : Shape {};
struct cudnnFilterStruct : Shape {};
struct cudnnConvolutionStruct { int ph, pw, sy, sx, dy, dx, type, groups, math; };

static std::map<std::string, int> calls, failures;
static std::string last_error;
static int last_algorithm, last_math, destroyed;
static int broken = -1;  // the algorithm that fails although there is memory for it

static cudnnStatus_t status(int value, const char* why = "") {
    last_error = value ? why : "";
    return static_cast<cudnnStatus_t>(value);
}
// Count a call, and return from it where the test wants it to fail.
#define CALLED(function) do { ++calls[function]; if (failures[function]) \
    return status(failures[function], "as the test wants it"); } while (0)
#define NEED(condition) do { if (!(condition)) return status(BAD, #condition); } while (0)

// cuDNN reads and writes whole vectors of 16 bytes.
static bool aligned(std::initializer_list<const void*> arrays) {
    for (const void* p : arrays)
        if (reinterpret_cast<std::uintptr_t>(p) % 16) return false;
    return true;
}

static double get(const void* p, int type, size_t k) {
    if (type == DOUBLE) return static_cast<const double*>(p)[k];
    if (type == FLOAT) return static_cast<const float*>(p)[k];
    return __half2float(static_cast<const unsigned short*>(p)[k]);
}
static void set(void* p, int type, size_t k, double value) {
    if (type == DOUBLE) static_cast<double*>(p)[k] = value;
    else if (type == FLOAT) static_cast<float*>(p)[k] = static_cast<float>(value);
    else static_cast<unsigned short*>(p)[k] = __float2half_rn(static_cast<float>(value));
}
static bool is(const void* scalar, int type, double value) {
    return type == DOUBLE ? *static_cast<const double*>(scalar) == value
                          : *static_cast<const float*>(scalar) == static_cast<float>(value);
}
static size_t at(const Shape& s, int n, int c, int h, int w) {
    return ((static_cast<size_t>(n) * s.c + c) * s.h + h) * s.w + w;
}
static size_t size(const Shape& s) { return static_cast<size_t>(s.n) * s.c * s.h * s.w; }
static bool same(const Shape& a, const Shape& b) { return !std::memcmp(&a, &b, sizeof(Shape)); }

static int out_size(int n, int kernel, int pad, int stride, int dilation) {
    return (n + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
}

static bool fits(const Shape& x, const Shape& w, const cudnnConvolutionStruct& c, const Shape& y) {
    return x.type == w.type && x.type == y.type && c.type == (x.type == DOUBLE ? DOUBLE : FLOAT)
        && x.c == w.c * c.groups && w.n % c.groups == 0 && y.n == x.n && y.c == w.n
        && y.h == out_size(x.h, w.h, c.ph, c.sy, c.dy)
        && y.w == out_size(x.w, w.w, c.pw, c.sx, c.dx);
}

// Add up all products of the three arrays of a convolution into the one that is the result.
static void loops(const Shape& xs, const void* x, const Shape& ws, const void* w,
                  const cudnnConvolutionStruct& c, const Shape& ys, const void* y, void* result) {
    const Shape& out = result == x ? xs : result == w ? ws : ys;
    std::vector<double> sum(size(out));
    for (int n = 0; n < ys.n; ++n) for (int k = 0; k < ys.c; ++k)
        for (int i = 0; i < ys.h; ++i) for (int j = 0; j < ys.w; ++j)
            for (int q = 0; q < ws.c; ++q)
                for (int a = 0; a < ws.h; ++a) for (int b = 0; b < ws.w; ++b) {
                    const int h = i * c.sy - c.ph + a * c.dy, v = j * c.sx - c.pw + b * c.dx;
                    if (h < 0 || h >= xs.h || v < 0 || v >= xs.w) continue;
                    const size_t in = at(xs, n, k / (ws.n / c.groups) * ws.c + q, h, v);
                    const size_t kernel = at(ws, k, q, a, b), to = at(ys, n, k, i, j);
                    if (result == y) sum[to] += get(x, xs.type, in) * get(w, xs.type, kernel);
                    else if (result == x) sum[in] += get(y, xs.type, to) * get(w, xs.type, kernel);
                    else sum[kernel] += get(x, xs.type, in) * get(y, xs.type, to);
                }
    for (size_t k = 0; k < sum.size(); ++k) set(result, out.type, k, sum[k]);
}

// The algorithms of every pass. The fastest sums in varying order, the next needs too much memory.
struct Algorithm { int number; float time; size_t memory; int determinism; };
static const Algorithm ALGORITHMS[] = {
    {3, 0.1f, 4096, 0}, {5, 0.2f, size_t(1) << 30, 1}, {1, 0.3f, size_t(3) << 20, 1},
    {0, 0.4f, 0, 1}};

template <class P>
static void list(P* perfs, int most, int* count, int math, size_t limit) {
    *count = 0;
    for (int failed = 0; failed < 2; ++failed)
        for (const Algorithm& a : ALGORITHMS)
            if ((a.memory > limit || a.number == broken) == (failed == 1) && *count < most) {
                P& p = perfs[(*count)++];
                std::memset(&p, 0, sizeof p);
                p.algo = static_cast<decltype(p.algo)>(a.number);
                p.status = static_cast<cudnnStatus_t>(
                    !failed ? OK : a.number == broken ? UNSUPPORTED : NO_MEMORY);
                p.time = failed ? -1 : a.time;
                p.memory = a.memory;
                p.determinism = static_cast<cudnnDeterminism_t>(a.determinism);
                // an algorithm of its own arithmetic: 3 is CUDNN_FMA_MATH
                p.mathType = static_cast<cudnnMathType_t>(a.number == 0 ? 3 : math);
            }
}

static cudnnStatus_t run(const char* name, const void* alpha, const void* beta, const Shape& xs,
                         const void* x, const Shape& ws, const void* w,
                         const cudnnConvolutionStruct& c, const Shape& ys, const void* y,
                         int algorithm, void* workspace, size_t bytes, void* result) {
    CALLED(name);
    NEED(fits(xs, ws, c, ys));
    NEED(aligned({x, w, y, workspace}));
    NEED(is(alpha, c.type, 1) && is(beta, c.type, 0));
    for (const Algorithm& a : ALGORITHMS)
        if (a.number == algorithm && algorithm != broken) {
            NEED(bytes >= a.memory && (workspace != nullptr) == (bytes != 0));
            NEED((c.math == 3) == (algorithm == 0));
            std::memset(workspace ? workspace : &last_math, 7, a.memory);
            last_algorithm = algorithm;
            last_math = c.math;
            loops(xs, x, ws, w, c, ys, y, result);
            return status(OK);
        }
    return status(BAD, "algorithm");
}

template <class P>
static cudnnStatus_t find(const char* name, const Shape& xs, const Shape& ws,
                          const cudnnConvolutionStruct& c, const Shape& ys, const Shape& out,
                          void* result, int most, int* count, P* perfs, void* workspace,
                          size_t bytes) {
    CALLED(name);
    NEED(fits(xs, ws, c, ys) && most > 0 && (workspace != nullptr) == (bytes != 0));
    if (workspace) std::memset(workspace, 7, bytes);
    for (size_t k = 0; k < size(out); ++k) set(result, out.type, k, std::nan(""));
    list(perfs, most, count, c.math, bytes);
    return status(OK);
}

template <class P>
static cudnnStatus_t guess(const char* name, const Shape& xs, const Shape& ws,
                           const cudnnConvolutionStruct& c, const Shape& ys, int most, int* count,
                           P* perfs) {
    CALLED(name);
    NEED(fits(xs, ws, c, ys) && most > 0);
    list(perfs, most, count, c.math, std::numeric_limits<size_t>::max());
    return status(OK);
}

extern "C" {

// For the tests.
int fake_calls(const char* function) { return calls[function]; }
void fake_fail(const char* function, int value) { failures[function] = value; }
void fake_break(int algorithm) { broken = algorithm; }
int fake_algorithm() { return last_algorithm; }
int fake_math() { return last_math; }
int fake_destroyed() { return destroyed; }
void* fake_stream(cudnnHandle_t handle) { return handle->stream; }
void fake_reset() {
    calls.clear();
    failures.clear();
    last_algorithm = last_math = destroyed = 0;
    broken = -1;
}

size_t cudnnGetVersion(void) { return 91900; }
size_t cudnnGetCudartVersion(void) {
    return failures["cudnnGetCudartVersion"] ? failures["cudnnGetCudartVersion"] : 13010;
}
const char* cudnnGetErrorString(cudnnStatus_t value) {
    static char text[32];
    std::snprintf(text, sizeof text, "CUDNN_STATUS_%d", static_cast<int>(value));
    return text;
}
void cudnnGetLastErrorString(char* message, size_t most) {
    std::snprintf(message, most, "%s", last_error.c_str());
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
    CALLED("cudnnCreate");
    *handle = new cudnnContext();
    return status(OK);
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    delete handle;
    return status(OK);
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    CALLED("cudnnSetStream");
    handle->stream = stream;
    return status(OK);
}

#define DESCRIPTOR(kind) \
    cudnnStatus_t cudnnCreate##kind##Descriptor(cudnn##kind##Descriptor_t* made) { \
        *made = new cudnn##kind##Struct(); \
        return status(OK); \
    } \
    cudnnStatus_t cudnnDestroy##kind##Descriptor(cudnn##kind##Descriptor_t old) { \
        delete old; \
        ++destroyed; \
        return status(OK); \
    }
DESCRIPTOR(Tensor)
DESCRIPTOR(Filter)
DESCRIPTOR(Convolution)

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t t, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
    CALLED("cudnnSetTensor4dDescriptor");
    NEED(format == 0 && type <= HALF && n > 0 && c > 0 && h > 0 && w > 0);
    static_cast<Shape&>(*t) = {static_cast<int>(type), n, c, h, w};
    return status(OK);
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t f, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
    NEED(format == 0 && type <= HALF && k > 0 && c > 0 && h > 0 && w > 0);
    static_cast<Shape&>(*f) = {static_cast<int>(type), k, c, h, w};
    return status(OK);
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(
    cudnnConvolutionDescriptor_t d, int ph, int pw, int sy, int sx, int dy, int dx,
    cudnnConvolutionMode_t mode, cudnnDataType_t type) {
    CALLED("cudnnSetConvolution2dDescriptor");
    NEED(ph >= 0 && pw >= 0 && sy > 0 && sx > 0 && dy > 0 && dx > 0 && mode == 1);
    *d = {ph, pw, sy, sx, dy, dx, static_cast<int>(type), 1, 0};
    return status(OK);
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t d, int groups) {
    NEED(groups > 0);
    d->groups = groups;
    return status(OK);
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math) {
    d->math = static_cast<int>(math);
    return status(OK);
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnFilterDescriptor_t w,
    const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t y, const int most,
    int* count, cudnnConvolutionFwdAlgoPerf_t* perfs) {
    return guess("cudnnGetConvolutionForwardAlgorithm_v7", *x, *w, *c, *y, most, count, perfs);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t y,
    const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t x, const int most,
    int* count, cudnnConvolutionBwdDataAlgoPerf_t* perfs) {
    return guess("cudnnGetConvolutionBackwardDataAlgorithm_v7", *x, *w, *c, *y, most, count, perfs);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t y,
    const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t w, const int most,
    int* count, cudnnConvolutionBwdFilterAlgoPerf_t* perfs) {
    return guess("cudnnGetConvolutionBackwardFilterAlgorithm_v7", *x, *w, *c, *y, most, count,
                 perfs);
}

cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const void*, const cudnnFilterDescriptor_t w,
    const void*, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t y, void* to,
    const int most, int* count, cudnnConvolutionFwdAlgoPerf_t* perfs, void* work, size_t bytes) {
    return find("cudnnFindConvolutionForwardAlgorithmEx", *x, *w, *c, *y, *y, to, most, count,
                perfs, work, bytes);
}
cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t, const cudnnFilterDescriptor_t w, const void*, const cudnnTensorDescriptor_t y,
    const void*, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t x, void* to,
    const int most, int* count, cudnnConvolutionBwdDataAlgoPerf_t* perfs, void* work,
    size_t bytes) {
    return find("cudnnFindConvolutionBackwardDataAlgorithmEx", *x, *w, *c, *y, *x, to, most, count,
                perfs, work, bytes);
}
cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const void*, const cudnnTensorDescriptor_t y,
    const void*, const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t w, void* to,
    const int most, int* count, cudnnConvolutionBwdFilterAlgoPerf_t* perfs, void* work,
    size_t bytes) {
    return find("cudnnFindConvolutionBackwardFilterAlgorithmEx", *x, *w, *c, *y, *w, to, most,
                count, perfs, work, bytes);
}

cudnnStatus_t cudnnConvolutionForward(
    cudnnHandle_t, const void* alpha, const cudnnTensorDescriptor_t xs, const void* x,
    const cudnnFilterDescriptor_t ws, const void* w, const cudnnConvolutionDescriptor_t c,
    cudnnConvolutionFwdAlgo_t algorithm, void* work, size_t bytes, const void* beta,
    const cudnnTensorDescriptor_t ys, void* y) {
    return run("cudnnConvolutionForward", alpha, beta, *xs, x, *ws, w, *c, *ys, y,
               static_cast<int>(algorithm), work, bytes, y);
}
cudnnStatus_t cudnnConvolutionBackwardData(
    cudnnHandle_t, const void* alpha, const cudnnFilterDescriptor_t ws, const void* w,
    const cudnnTensorDescriptor_t ys, const void* y, const cudnnConvolutionDescriptor_t c,
    cudnnConvolutionBwdDataAlgo_t algorithm, void* work, size_t bytes, const void* beta,
    const cudnnTensorDescriptor_t xs, void* x) {
    return run("cudnnConvolutionBackwardData", alpha, beta, *xs, x, *ws, w, *c, *ys, y,
               static_cast<int>(algorithm), work, bytes, x);
}
cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t, const void* alpha, const cudnnTensorDescriptor_t xs, const void* x,
    const cudnnTensorDescriptor_t ys, const void* y, const cudnnConvolutionDescriptor_t c,
    cudnnConvolutionBwdFilterAlgo_t algorithm, void* work, size_t bytes, const void* beta,
    const cudnnFilterDescriptor_t ws, void* w) {
    return run("cudnnConvolutionBackwardFilter", alpha, beta, *xs, x, *ws, w, *c, *ys, y,
               static_cast<int>(algorithm), work, bytes, w);
}

// One mode serves for all: (N, C, 1, 1) normalizes over N either way.
cudnnStatus_t cudnnBatchNormalizationForwardTraining(
    cudnnHandle_t, cudnnBatchNormMode_t mode, const void* alpha, const void* beta,
    const cudnnTensorDescriptor_t xs, const void* x, const cudnnTensorDescriptor_t ys, void* y,
    const cudnnTensorDescriptor_t ps, const void* scale, const void* bias, double factor,
    void* running_mean, void* running_var, double eps, void* saved_mean, void* saved_inv_std) {
    CALLED("cudnnBatchNormalizationForwardTraining");
    const int type = xs->type == DOUBLE ? DOUBLE : FLOAT;
    NEED(same(*xs, *ys) && same(*ps, Shape{type, 1, xs->c, 1, 1}) && eps >= 0);
    NEED(mode != 0 || xs->h * xs->w == 1);
    NEED(is(alpha, type, 1) && is(beta, type, 0));
    NEED((running_mean == nullptr) == (running_var == nullptr));
    NEED(aligned({x, y, scale, bias, running_mean, running_var}));
    const double m = static_cast<double>(xs->n) * xs->h * xs->w;
    for (int c = 0; c < xs->c; ++c) {
        double mean = 0, var = 0;
        for (int pass = 0; pass < 3; ++pass)
            for (int n = 0; n < xs->n; ++n) for (int h = 0; h < xs->h; ++h)
                for (int w = 0; w < xs->w; ++w) {
                    const size_t k = at(*xs, n, c, h, w);
                    const double v = get(x, xs->type, k);
                    if (pass == 0) mean += v / m;
                    else if (pass == 1) var += (v - mean) * (v - mean) / m;
                    else set(y, xs->type, k, get(scale, type, c) * (v - mean) / std::sqrt(var + eps)
                             + get(bias, type, c));
                }
        set(saved_mean, type, c, mean);
        set(saved_inv_std, type, c, 1 / std::sqrt(var + eps));
        if (running_mean) {
            set(running_mean, type, c, get(running_mean, type, c) * (1 - factor) + mean * factor);
            set(running_var, type, c, get(running_var, type, c) * (1 - factor)
                + var * m / (m - 1) * factor);
        }
    }
    return status(OK);
}

cudnnStatus_t cudnnBatchNormalizationBackward(
    cudnnHandle_t, cudnnBatchNormMode_t mode, const void* alpha, const void* beta,
    const void* alpha_parameters, const void* beta_parameters, const cudnnTensorDescriptor_t xs,
    const void* x, const cudnnTensorDescriptor_t gys, const void* gy,
    const cudnnTensorDescriptor_t gxs, void* gx, const cudnnTensorDescriptor_t ps,
    const void* scale, void* gscale, void* gbias, double, const void* saved_mean,
    const void* saved_inv_std) {
    CALLED("cudnnBatchNormalizationBackward");
    const int type = xs->type == DOUBLE ? DOUBLE : FLOAT;
    NEED(same(*xs, *gys) && same(*xs, *gxs) && same(*ps, Shape{type, 1, xs->c, 1, 1}));
    NEED(mode != 0 || xs->h * xs->w == 1);
    NEED(is(alpha, type, 1) && is(beta, type, 0));
    NEED(is(alpha_parameters, type, 1) && is(beta_parameters, type, 0));
    NEED(saved_mean && saved_inv_std);
    NEED(aligned({x, gy, gx, scale}));
    const double m = static_cast<double>(xs->n) * xs->h * xs->w;
    for (int c = 0; c < xs->c; ++c) {
        const double mean = get(saved_mean, type, c), inv_std = get(saved_inv_std, type, c);
        double sum = 0, product = 0;
        for (int pass = 0; pass < 2; ++pass)
            for (int n = 0; n < xs->n; ++n) for (int h = 0; h < xs->h; ++h)
                for (int w = 0; w < xs->w; ++w) {
                    const size_t k = at(*xs, n, c, h, w);
                    const double g = get(gy, xs->type, k);
                    const double normal = (get(x, xs->type, k) - mean) * inv_std;
                    if (pass == 0) { sum += g; product += g * normal; }
                    else set(gx, xs->type, k, get(scale, type, c) * inv_std
                             * (g - (sum + normal * product) / m));
                }
        set(gscale, type, c, product);
        set(gbias, type, c, sum);
    }
    return status(OK);
}

}  // extern "C"
