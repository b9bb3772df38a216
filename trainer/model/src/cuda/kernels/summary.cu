// What is read off logits, so that they need not leave the GPU: some of them, the logarithm of the softmax's denominator
// (`ops::softmax::log_sum_exp`), and the likeliest token.
#include "device.cuh"

// A logit and where it stands.
struct Best {
    float value;
    int index;
};

// The larger one; of equals the first.
__device__ __forceinline__ Best better(Best a, Best b) {
    return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

__device__ __forceinline__ Best warp_best(Best best) {
#pragma unroll
    for (int other = 16; other > 0; other /= 2) {
        float value = __shfl_xor_sync(ALL_LANES, best.value, other);
        int index = __shfl_xor_sync(ALL_LANES, best.index, other);
        best = better(best, Best{value, index});
    }
    return best;
}

// Grid (rows). For i in first[row]..first[row + 1], picked[i] = logits[row][wanted[i]]. `normaliser[row]` = ln Σ e^logit, summed
// in f64. `likeliest[row]` is the index of the first largest logit, or -1 if one is infinite or no number.
template <typename T>
__device__ __forceinline__ void summary(const T* logits, const int* first, const int* wanted, float* picked,
                                        double* normaliser, int* likeliest, int vocabulary) {
    SHARED(float, values, [32]);
    SHARED(int, indices, [32]);
    SHARED(double, parts, [32]);
    int row = blockIdx.x, thread = threadIdx.x;
    const T* from = logits + size_t(row) * vocabulary;
    for (int i = first[row] + thread; i < first[row + 1]; i += 1024) picked[i] = from[wanted[i]];

    bool whole = vocabulary % GROUP == 0, finite = true;
    Best best{-infinity(), vocabulary};
    for (int start = thread * GROUP; start < vocabulary; start += 1024 * GROUP) {
        float group[GROUP];
        load_group(from, start, vocabulary, whole, group);
#pragma unroll
        for (int i = 0; i < GROUP; i++) {
            finite = finite && is_finite(group[i]);
            if (start + i < vocabulary && group[i] > best.value) best = Best{group[i], start + i};
        }
    }
    best = warp_best(best);
    if (thread % 32 == 0) {
        values[thread / 32] = best.value;
        indices[thread / 32] = best.index;
    }
    // A barrier that also counts.
    bool all_finite = __syncthreads_and(finite);
    best = warp_best(Best{values[thread % 32], indices[thread % 32]});

    double sum = 0.0;
    for (int start = thread * GROUP; start < vocabulary; start += 1024 * GROUP) {
        float group[GROUP];
        load_group(from, start, vocabulary, whole, group);
#pragma unroll
        for (int i = 0; i < GROUP; i++) {
            if (start + i < vocabulary) sum += double(exponential(group[i] - best.value));
        }
    }
    sum = block_sum(sum, parts);
    if (thread == 0) {
        normaliser[row] = double(best.value) + log(sum);
        likeliest[row] = all_finite ? best.index : -1;
    }
}

#define PARAMETERS(T)                                                                                              \
    (const T* __restrict__ logits, const int* __restrict__ first, const int* __restrict__ wanted, float* __restrict__ picked, \
     double* __restrict__ normaliser, int* __restrict__ likeliest, int vocabulary)
INSTANCE(summary, f32, float, (1024), PARAMETERS, (logits, first, wanted, picked, normaliser, likeliest, vocabulary))
#undef PARAMETERS
