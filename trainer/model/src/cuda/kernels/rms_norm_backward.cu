// The gradients of RMSNorm, of rows and of heads, and RMSNorm of heads: `ops::rms_norm`. What is summed over rows is summed by blocks
// over rows of their own, into partial sums that `add_partials` brings together in order.
#include "device.cuh"

// Columns whose sums a block keeps in shared memory; those of wider rows are kept in its partial sums.
constexpr int MOST_SHARED = 8192;
constexpr int NORM_THREADS = 256;

// The sums of two values over the block. `parts` is not written again before the next barrier but one.
__device__ __forceinline__ void two_sums(float& a, float& b, float (&parts)[2][8]) {
    a = warp_sum(a);
    b = warp_sum(b);
    if (threadIdx.x % 32 == 0) {
        parts[0][threadIdx.x / 32] = a;
        parts[1][threadIdx.x / 32] = b;
    }
    __syncthreads();
    a = parts[0][0];
    b = parts[1][0];
#pragma unroll
    for (int warp = 1; warp < 8; warp++) {
        a += parts[0][warp];
        b += parts[1][warp];
    }
}

// Grid (blocks), each for `⌈rows / blocks⌉` rows. Adds the gradient in `x [rows, width]` to `dx`; row b of `partials [blocks, width]`
// gets the block's share of that in `weight [width]`. `dy` is that of the result.
template <typename T>
__device__ __forceinline__ void rms_norm_backward(const float* x, const float* weight, const T* dy, float* dx, float* partials,
                                                  int rows, int width, float eps) {
    SHARED(float, kept, [MOST_SHARED]);
    SHARED(float, parts, [2][2][8]);
    float* mine = partials + size_t(blockIdx.x) * width;
    // A thread has the same columns all the way, so nobody waits for it.
    float* sums = width <= MOST_SHARED ? kept : mine;
    bool whole = width % GROUP == 0;
    constexpr int STRIDE = NORM_THREADS * GROUP;
    float none[GROUP] = {};
    for (int first = threadIdx.x * GROUP; first < width; first += STRIDE) store_group(sums, first, width, whole, none);
    int share = (rows + gridDim.x - 1) / gridDim.x;
    int begin = blockIdx.x * share, end = min(rows, begin + share);
    for (int row = begin; row < end; row++) {
        const float* from = x + size_t(row) * width;
        const T* dfrom = dy + size_t(row) * width;
        float* to = dx + size_t(row) * width;
        float squares = 0.0f, along = 0.0f;
        for (int first = threadIdx.x * GROUP; first < width; first += STRIDE) {
            float values[GROUP], weights[GROUP], gradients[GROUP];
            load_group(from, first, width, whole, values);
            load_group(dfrom, first, width, whole, gradients);
            load_group(weight, first, width, whole, weights);
#pragma unroll
            for (int i = 0; i < GROUP; i++) {
                squares = fmaf(values[i], values[i], squares);
                along = fmaf(weights[i] * gradients[i], values[i], along);
            }
        }
        two_sums(squares, along, parts[row & 1]);
        float r = 1.0f / sqrtf(squares / float(width) + eps);
        along = along * r * r * r / float(width);
        for (int first = threadIdx.x * GROUP; first < width; first += STRIDE) {
            float values[GROUP], weights[GROUP], gradients[GROUP], before[GROUP], sum[GROUP];
            load_group(from, first, width, whole, values);
            load_group(dfrom, first, width, whole, gradients);
            load_group(weight, first, width, whole, weights);
            load_group(static_cast<const float*>(to), first, width, whole, before);
            load_group(static_cast<const float*>(sums), first, width, whole, sum);
#pragma unroll
            for (int i = 0; i < GROUP; i++) {
                before[i] += r * (weights[i] * gradients[i]) - along * values[i];
                sum[i] += gradients[i] * values[i] * r;
            }
            store_group(to, first, width, whole, before);
            store_group(sums, first, width, whole, sum);
        }
    }
    if (width > MOST_SHARED) return;
    for (int first = threadIdx.x * GROUP; first < width; first += STRIDE) {
        float sum[GROUP];
        load_group(static_cast<const float*>(sums), first, width, whole, sum);
        store_group(mine, first, width, whole, sum);
    }
}

// Values of a head that a lane has: those at its place, 32 further, and so on.
constexpr int PER_LANE = 8;

// Grid (⌈rows / 8⌉), a warp for a row: `out [rows, dim]` is the RMSNorm of `x [rows, dim]`, dim ≤ 256.
template <typename T>
__device__ __forceinline__ void head_norm(const T* x, const float* weight, T* out, int rows, int dim, float eps) {
    int row = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float values[PER_LANE], squares = 0.0f;
#pragma unroll
    for (int i = 0; i < PER_LANE; i++) {
        int column = lane + 32 * i;
        values[i] = column < dim ? widen(x[size_t(row) * dim + column]) : 0.0f;
        squares = fmaf(values[i], values[i], squares);
    }
    float r = 1.0f / sqrtf(warp_sum(squares) / float(dim) + eps);
#pragma unroll
    for (int i = 0; i < PER_LANE; i++) {
        int column = lane + 32 * i;
        if (column < dim) out[size_t(row) * dim + column] = narrow<T>(weight[column] * (values[i] * r));
    }
}

// Grid (blocks), as `rms_norm_backward`, for rows `[rows, dim]` of heads; dim ≤ 256. A warp has the block's rows that leave its number
// when divided by eight.
template <typename T>
__device__ __forceinline__ void head_norm_backward(const T* x, const float* weight, const T* dy, T* dx, float* partials, int rows,
                                                   int dim, float eps) {
    SHARED(float, of_warps, [8][32 * PER_LANE]);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int share = (rows + gridDim.x - 1) / gridDim.x;
    int begin = blockIdx.x * share, end = min(rows, begin + share);
    float sums[PER_LANE] = {};
    for (int row = begin + warp; row < end; row += 8) {
        size_t at = size_t(row) * dim;
        float values[PER_LANE], gradients[PER_LANE], scaled[PER_LANE], squares = 0.0f, along = 0.0f;
#pragma unroll
        for (int i = 0; i < PER_LANE; i++) {
            int column = lane + 32 * i;
            bool inside = column < dim;
            values[i] = inside ? widen(x[at + column]) : 0.0f;
            gradients[i] = inside ? widen(dy[at + column]) : 0.0f;
            scaled[i] = inside ? weight[column] * gradients[i] : 0.0f;
            squares = fmaf(values[i], values[i], squares);
            along = fmaf(scaled[i], values[i], along);
        }
        float r = 1.0f / sqrtf(warp_sum(squares) / float(dim) + eps);
        along = warp_sum(along) * r * r * r / float(dim);
#pragma unroll
        for (int i = 0; i < PER_LANE; i++) {
            int column = lane + 32 * i;
            if (column >= dim) continue;
            sums[i] += gradients[i] * values[i] * r;
            dx[at + column] = narrow<T>(widen(dx[at + column]) + (r * scaled[i] - along * values[i]));
        }
    }
#pragma unroll
    for (int i = 0; i < PER_LANE; i++) of_warps[warp][lane + 32 * i] = sums[i];
    __syncthreads();
    if (int(threadIdx.x) >= dim) return;
    float sum = of_warps[0][threadIdx.x];
#pragma unroll
    for (int other = 1; other < 8; other++) sum += of_warps[other][threadIdx.x];
    partials[size_t(blockIdx.x) * dim + threadIdx.x] = sum;
}

// Grid (⌈width / 256⌉, blocks). Row b of `partials [blocks, width]` gets the sums of the columns of `dy [rows, width]` over the block's
// `⌈rows / blocks⌉` rows: `ops::bias::backward`.
template <typename T>
__device__ __forceinline__ void column_sums(const T* dy, float* partials, int rows, int width) {
    int column = blockIdx.x * 256 + threadIdx.x;
    if (column >= width) return;
    int share = (rows + gridDim.y - 1) / gridDim.y;
    int begin = blockIdx.y * share, end = min(rows, begin + share);
    float sum = 0.0f;
    for (int row = begin; row < end; row++) sum += widen(dy[size_t(row) * width + column]);
    partials[size_t(blockIdx.y) * width + column] = sum;
}

// Grid (⌈width / 32⌉). Adds the columns of `partials [count, width]` to `out [width]`: a lane has a column, a warp an eighth of them.
template <typename T>
__device__ __forceinline__ void add_partials(const T* partials, float* out, int count, int width) {
    SHARED(float, of_warps, [8][32]);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, column = blockIdx.x * 32 + lane;
    int share = (count + 7) / 8, begin = warp * share, end = min(count, begin + share);
    float sum = 0.0f;
    if (column < width) {
        for (int i = begin; i < end; i++) sum += partials[size_t(i) * width + column];
    }
    of_warps[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || column >= width) return;
#pragma unroll
    for (int other = 1; other < 8; other++) sum += of_warps[other][lane];
    out[column] += sum;
}

#define PARAMETERS(T)                                                                                                 \
    (const float* __restrict__ x, const float* __restrict__ weight, const T* __restrict__ dy, float* __restrict__ dx, \
     float* partials, int rows, int width, float eps)
TRAINING_INSTANCES(rms_norm_backward, (NORM_THREADS), PARAMETERS, (x, weight, dy, dx, partials, rows, width, eps))
#undef PARAMETERS

#define PARAMETERS(T) \
    (const T* __restrict__ x, const float* __restrict__ weight, T* __restrict__ out, int rows, int dim, float eps)
TRAINING_INSTANCES(head_norm, (256), PARAMETERS, (x, weight, out, rows, dim, eps))
#undef PARAMETERS

#define PARAMETERS(T)                                                                                         \
    (const T* __restrict__ x, const float* __restrict__ weight, const T* __restrict__ dy, T* __restrict__ dx, \
     float* __restrict__ partials, int rows, int dim, float eps)
TRAINING_INSTANCES(head_norm_backward, (256), PARAMETERS, (x, weight, dy, dx, partials, rows, dim, eps))
#undef PARAMETERS

#define PARAMETERS(T) (const T* __restrict__ dy, float* __restrict__ partials, int rows, int width)
TRAINING_INSTANCES(column_sums, (256), PARAMETERS, (dy, partials, rows, width))
#undef PARAMETERS

#define PARAMETERS(T) (const T* __restrict__ partials, float* __restrict__ out, int count, int width)
INSTANCE(add_partials, f32, float, (256), PARAMETERS, (partials, out, count, width))
#undef PARAMETERS
