// Cross-entropy with z-loss, forward and backward: `ops::cross_entropy`.
#include "device.cuh"

constexpr int LOSS_THREADS = 1024;

// The largest value so far, and the sum of the exponentials of the differences to it.
struct Softmax {
    float most, sum;
};

// One more. Of a value that is no number the sum tells.
__device__ __forceinline__ void take(Softmax& all, float value) {
    if (value > all.most) {
        all.sum = all.sum * exponential(all.most - value) + 1.0f;
        all.most = value;
    } else {
        all.sum += exponential(value - all.most);
    }
}

// Of two. What has seen nothing, or only negative infinity, has a sum of none.
__device__ __forceinline__ Softmax together(Softmax a, Softmax b) {
    float most = fmaxf(a.most, b.most);
    float left = a.most == -infinity() ? a.sum : a.sum * exponential(a.most - most);
    float right = b.most == -infinity() ? b.sum : b.sum * exponential(b.most - most);
    return Softmax{most, left + right};
}

// Grid (rows). `dlogits [rows, vocabulary]` is the gradient of `objective[0] · (ce + objective[1] · ln²Z)` of each row of `logits`, which
// may be the same memory; `losses [rows, 3]` gets ce, ln²Z and 1. Of a row whose target is negative all is zero.
template <typename T>
__device__ __forceinline__ void cross_entropy(const float* logits, T* dlogits, const int* targets, const float* objective,
                                              double* losses, int vocabulary) {
    SHARED(float, maxima, [32]);
    SHARED(float, sums, [32]);
    int row = blockIdx.x, thread = threadIdx.x, target = targets[row];
    const float* from = logits + size_t(row) * vocabulary;
    T* to = dlogits + size_t(row) * vocabulary;
    double* loss = losses + 3 * size_t(row);
    bool whole = vocabulary % GROUP == 0;
    if (target < 0) {
        float none[GROUP] = {};
        for (int first = thread * GROUP; first < vocabulary; first += LOSS_THREADS * GROUP)
            store_group(to, first, vocabulary, whole, none);
        if (thread < 3) loss[thread] = 0.0;
        return;
    }
    Softmax all{-infinity(), 0.0f};
    for (int first = thread * GROUP; first < vocabulary; first += LOSS_THREADS * GROUP) {
        float values[GROUP];
        load_group(from, first, vocabulary, whole, values);
#pragma unroll
        for (int i = 0; i < GROUP; i++) {
            if (first + i < vocabulary) take(all, values[i]);
        }
    }
#pragma unroll
    for (int other = 16; other > 0; other /= 2) {
        float most = __shfl_xor_sync(ALL_LANES, all.most, other);
        float sum = __shfl_xor_sync(ALL_LANES, all.sum, other);
        all = together(all, Softmax{most, sum});
    }
    if (thread % 32 == 0) {
        maxima[thread / 32] = all.most;
        sums[thread / 32] = all.sum;
    }
    float logit = from[target];
    __syncthreads();
    all = Softmax{maxima[0], sums[0]};
    for (int warp = 1; warp < 32; warp++) all = together(all, Softmax{maxima[warp], sums[warp]});
    double log_z = double(all.most) + log(double(all.sum));
    float scale = objective[0];
    float factor = scale * (1.0f + 2.0f * objective[1] * float(log_z)) / all.sum;
    if (thread == 0) {
        loss[0] = log_z - double(logit);
        loss[1] = log_z * log_z;
        loss[2] = 1.0;
    }
    for (int first = thread * GROUP; first < vocabulary; first += LOSS_THREADS * GROUP) {
        float values[GROUP];
        load_group(from, first, vocabulary, whole, values);
#pragma unroll
        for (int i = 0; i < GROUP; i++) {
            values[i] = exponential(values[i] - all.most) * factor;
            if (first + i == target) values[i] -= scale;
        }
        store_group(to, first, vocabulary, whole, values);
    }
}

// Grid (1). Adds the columns of `losses [rows, 3]` to `totals [3]`.
template <typename T>
__device__ __forceinline__ void loss_sums(const T* losses, T* totals, int rows) {
    SHARED(double, parts, [3][8]);
    for (int column = 0; column < 3; column++) {
        double sum = 0.0;
        for (int row = threadIdx.x; row < rows; row += 256) sum += losses[3 * size_t(row) + column];
        sum = block_sum(sum, parts[column]);
        if (threadIdx.x == 0) totals[column] += sum;
    }
}

#define PARAMETERS(T)                                                                                                      \
    (const float* logits, T* dlogits, const int* __restrict__ targets, const float* __restrict__ objective, double* losses, \
     int vocabulary)
TRAINING_INSTANCES(cross_entropy, (LOSS_THREADS), PARAMETERS, (logits, dlogits, targets, objective, losses, vocabulary))
#undef PARAMETERS

#define PARAMETERS(T) (const T* __restrict__ losses, T* __restrict__ totals, int rows)
INSTANCE(loss_sums, f32, double, (256), PARAMETERS, (losses, totals, rows))
#undef PARAMETERS
