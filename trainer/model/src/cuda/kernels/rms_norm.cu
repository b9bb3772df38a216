// RMSNorm of rows: `ops::rms_norm`. It also notices a row with a value that is not finite.
#include "device.cuh"

// Grid (rows of the result). Row i of `out [_, width]` is made of row `rows[i]` of `x [_, width]`, or of row i where `rows` is
// null. `*bad`, unless it is null, becomes at most `place` if a value of a row is infinite or no number.
//
// A thread takes the same groups of values whether they can be loaded as whole words or not, so the sum is the same.
template <typename T>
__device__ __forceinline__ void rms_norm(const float* x, const int* rows, const float* weight, T* out, int width,
                                         float eps, int* bad, int place) {
    SHARED(float, parts, [8]);
    int row = rows == nullptr ? int(blockIdx.x) : rows[blockIdx.x];
    const float* from = x + size_t(row) * width;
    T* to = out + size_t(blockIdx.x) * width;
    bool whole = width % GROUP == 0, finite = true;
    float sum = 0.0f;
    for (int first = threadIdx.x * GROUP; first < width; first += 256 * GROUP) {
        float values[GROUP];
        load_group(from, first, width, whole, values);
#pragma unroll
        for (int i = 0; i < GROUP; i++) {
            sum = fmaf(values[i], values[i], sum);
            finite = finite && is_finite(values[i]);
        }
    }
    if (!finite && bad != nullptr) atomicMin(bad, place);
    float scale = 1.0f / sqrtf(block_sum(sum, parts) / float(width) + eps);
    for (int first = threadIdx.x * GROUP; first < width; first += 256 * GROUP) {
        float values[GROUP], weights[GROUP];
        load_group(from, first, width, whole, values);
        load_group(weight, first, width, whole, weights);
#pragma unroll
        for (int i = 0; i < GROUP; i++) values[i] = weights[i] * (values[i] * scale);
        store_group(to, first, width, whole, values);
    }
}

#define PARAMETERS(T)                                                                                          \
    (const float* __restrict__ x, const int* __restrict__ rows, const float* __restrict__ weight, T* __restrict__ out, \
     int width, float eps, int* bad, int place)
INSTANCES(rms_norm, (256), PARAMETERS, (x, rows, weight, out, width, eps, bad, place))
#undef PARAMETERS
