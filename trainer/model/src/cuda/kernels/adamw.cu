// The update, and what is read off the flat arrays: `ops::adamw`, `ops::square_norm`, `ops::moments`. Parts of arrays begin at a
// multiple of 16 bytes.
#include "device.cuh"

constexpr int UPDATE_THREADS = 256;

// What an update of a tensor needs: `adamw::Constants`.
struct Constants {
    float scale, beta1, rest1, beta2, rest2, keep, step, root, eps;
};

// What is taken off a parameter, weight decay apart.
__device__ __forceinline__ float change(const Constants& c, float m, float v) {
    return c.step * m / (sqrtf(v) / c.root + c.eps);
}

// What rounds at random: the key of the update, and the place of the first value in the flat arrays, each as two words.
struct Draw {
    unsigned key, more_key, first, more_first;
};

__device__ __forceinline__ unsigned mixed(unsigned bits) {
    bits = (bits ^ bits >> 16) * 0x85EBCA6Bu;
    bits = (bits ^ bits >> 13) * 0xC2B2AE35u;
    return bits ^ bits >> 16;
}

// `ops::bf16::random_bits` of value `i` behind the first.
__device__ __forceinline__ unsigned random_bits(const Draw& draw, unsigned i) {
    unsigned index = draw.first + i, more_index = draw.more_first + (index < i ? 1u : 0u);
    return mixed((mixed(index ^ draw.key) + more_index * 0x9E3779B1u) ^ draw.more_key);
}

// `ops::bf16::rounded_at_random`; f32 stays as it is.
template <typename T>
__device__ __forceinline__ float rounded_at_random(float value, unsigned bits) {
    if (sizeof(T) == 4 || !is_finite(value)) return value;
    return __uint_as_float((__float_as_uint(value) + (bits & 0xFFFFu)) & 0xFFFF0000u);
}

// Grid (⌈count / 2048⌉). `working [count]`, unless it is null, gets the new parameters in bf16. Moments of 16 bits are rounded at random.
template <typename T>
__device__ __forceinline__ void adamw(float* parameters, const float* gradients, T* exp_avg, T* exp_avg_sq, bf16* working, int count,
                                      const Constants& c, const Draw& draw) {
    int first = (blockIdx.x * UPDATE_THREADS + threadIdx.x) * GROUP;
    if (first >= count) return;
    bool whole = first + GROUP <= count;
    float p[GROUP], g[GROUP], m[GROUP], v[GROUP];
    load_group(static_cast<const float*>(parameters), first, count, whole, p);
    load_group(gradients, first, count, whole, g);
    load_group(static_cast<const T*>(exp_avg), first, count, whole, m);
    load_group(static_cast<const T*>(exp_avg_sq), first, count, whole, v);
#pragma unroll
    for (int i = 0; i < GROUP; i++) {
        g[i] *= c.scale;
        m[i] = c.beta1 * m[i] + c.rest1 * g[i];
        v[i] = c.beta2 * v[i] + c.rest2 * g[i] * g[i];
        p[i] = p[i] * c.keep - change(c, m[i], v[i]);
        unsigned bits = sizeof(T) == 4 ? 0u : random_bits(draw, unsigned(first + i));
        m[i] = rounded_at_random<T>(m[i], bits);
        v[i] = rounded_at_random<T>(v[i], bits >> 16);
    }
    store_group(parameters, first, count, whole, p);
    store_group(exp_avg, first, count, whole, m);
    store_group(exp_avg_sq, first, count, whole, v);
    if (working != nullptr) store_group(working, first, count, whole, p);
}

// Grid (blocks). `sums[b]` gets the block's share of the squares of `x [count]`, in f64.
__device__ __forceinline__ void square_sums(const float* x, double* sums, int count) {
    SHARED(double, parts, [8]);
    double sum = 0.0;
    long long stride = (long long)(gridDim.x) * UPDATE_THREADS * GROUP;
    for (long long first = (long long)(blockIdx.x * UPDATE_THREADS + threadIdx.x) * GROUP; first < count; first += stride) {
        float values[GROUP];
        load_group(x, int(first), count, first + GROUP <= count, values);
#pragma unroll
        for (int i = 0; i < GROUP; i++) sum += double(values[i]) * double(values[i]);
    }
    sum = block_sum(sum, parts);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// Grid (1). `total` gets the sum of `sums [count]`.
__device__ __forceinline__ void fold_sums(const double* sums, double* total, int count) {
    SHARED(double, parts, [8]);
    double sum = 0.0;
    for (int i = threadIdx.x; i < count; i += 256) sum += sums[i];
    sum = block_sum(sum, parts);
    if (threadIdx.x == 0) *total = sum;
}

// Grid (blocks). Row b of `sums [blocks, 5]` gets of the block's values: how many have √v̂ < ε, and the sums of the squares of m, of v,
// of the parameters and of the last change. The constants are those of the update.
template <typename T>
__device__ __forceinline__ void moment_sums(const float* parameters, const T* exp_avg, const T* exp_avg_sq, double* sums, int count,
                                            const Constants& c) {
    SHARED(double, parts, [5][8]);
    double all[5] = {};
    for (long long i = (long long)(blockIdx.x) * UPDATE_THREADS + threadIdx.x; i < count; i += (long long)(gridDim.x) * UPDATE_THREADS) {
        float p = parameters[i], m = widen(exp_avg[i]), v = widen(exp_avg_sq[i]), last = change(c, m, v);
        all[0] += sqrtf(v) / c.root < c.eps ? 1.0 : 0.0;
        all[1] += double(m) * double(m);
        all[2] += double(v) * double(v);
        all[3] += double(p) * double(p);
        all[4] += double(last) * double(last);
    }
#pragma unroll
    for (int i = 0; i < 5; i++) {
        double sum = block_sum(all[i], parts[i]);
        if (threadIdx.x == 0) sums[5 * size_t(blockIdx.x) + i] = sum;
    }
}

#define PARAMETERS(T)                                                                                                     \
    (float* __restrict__ parameters, const float* __restrict__ gradients, T* __restrict__ exp_avg, T* __restrict__ exp_avg_sq, \
     bf16* __restrict__ working, int count, float scale, float beta1, float rest1, float beta2, float rest2, float keep,       \
     float step, float root, float eps, int key, int more_key, int place, int more_place)
TRAINING_INSTANCES(adamw, (UPDATE_THREADS), PARAMETERS,
                   (parameters, gradients, exp_avg, exp_avg_sq, working, count,
                    Constants{scale, beta1, rest1, beta2, rest2, keep, step, root, eps},
                    Draw{unsigned(key), unsigned(more_key), unsigned(place), unsigned(more_place)}))
#undef PARAMETERS

#define PARAMETERS(T)                                                                                                         \
    (const float* __restrict__ parameters, const T* __restrict__ exp_avg, const T* __restrict__ exp_avg_sq, double* __restrict__ sums, \
     int count, float step, float root, float eps)
TRAINING_INSTANCES(moment_sums, (UPDATE_THREADS), PARAMETERS,
                   (parameters, exp_avg, exp_avg_sq, sums, count,
                    Constants{0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, step, root, eps}))
#undef PARAMETERS

extern "C" __global__ void __launch_bounds__(UPDATE_THREADS)
    square_sums_f32(const float* __restrict__ x, double* __restrict__ sums, int count) {
    square_sums(x, sums, count);
}

extern "C" __global__ void __launch_bounds__(256) fold_sums_f32(const double* __restrict__ sums, double* __restrict__ total, int count) {
    fold_sums(sums, total, count);
}
