// Attention of whole sequences as training asks for it, in its plainest form, for any width up to 256: `ops::attention::forward`
// and `ops::windowed_attention::forward`.
#include "device.cuh"

constexpr int PLAIN_THREADS = 128;
// Blocks that share a multiprocessor: few enough that nothing spills.
constexpr int PLAIN_BLOCKS = 8;
constexpr int MOST_DIM = 256;

// Grid (rows, queries). `q` and `out` are [rows, queries, dim], `k` and `v` [rows, key_heads, dim]. Row r sees rows starts[r]..=r,
// with a `window` > 0 those of r - window + 1..=r among them; `starts` never falls. `lse` [rows, queries] gets the natural
// logarithm of the sum of the exponentials of the scaled scores.
//
// Keys are taken by 128, counted from row 0. A thread computes the score of one of them, then up to two values of the sum.
template <typename T>
__device__ __forceinline__ void attention_train(const T* q, const T* k, const T* v, const int* starts, T* out, float* lse,
                                                int queries, int key_heads, int dim, int window, float scale) {
    SHARED(float, query, [MOST_DIM]);
    SHARED(float, weights, [PLAIN_THREADS]);
    SHARED(float, maxima, [4]);
    SHARED(float, parts, [4]);
    int row = blockIdx.x, head = blockIdx.y, thread = threadIdx.x;
    size_t at = (size_t(row) * queries + head) * dim;
    for (int i = thread; i < dim; i += PLAIN_THREADS) query[i] = widen(q[at + i]);
    int key_head = head / (queries / key_heads), first = starts[row];
    if (window > 0) first = max(first, row - window + 1);

    float most = -infinity(), total = 0.0f, sums[2] = {0.0f, 0.0f};
    for (int tile = first / PLAIN_THREADS * PLAIN_THREADS; tile <= row; tile += PLAIN_THREADS) {
        // Nobody reads the last tile's weights any more, and the query has arrived.
        __syncthreads();
        int key = tile + thread;
        float score = -infinity();
        if (key >= first && key <= row) {
            const T* from = k + (size_t(key) * key_heads + key_head) * dim;
            float sum = 0.0f;
            for (int i = 0; i < dim; i++) sum = fmaf(query[i], widen(from[i]), sum);
            score = sum * scale;
        }
        float larger = fmaxf(most, block_max(score, maxima));
        float weight = exponential(score - larger), shrink = exponential(most - larger);
        weights[thread] = weight;
        // The barrier in it also makes the weights visible.
        total = total * shrink + block_sum(weight, parts);
        most = larger;
        int begin = max(first, tile), end = min(row + 1, tile + PLAIN_THREADS);
#pragma unroll
        for (int part = 0; part < 2; part++) {
            int i = thread + part * PLAIN_THREADS;
            sums[part] *= shrink;
            for (int t = begin; i < dim && t < end; t++) {
                float value = widen(v[(size_t(t) * key_heads + key_head) * dim + i]);
                sums[part] = fmaf(weights[t - tile], value, sums[part]);
            }
        }
    }
#pragma unroll
    for (int part = 0; part < 2; part++) {
        int i = thread + part * PLAIN_THREADS;
        if (i < dim) out[at + i] = narrow<T>(sums[part] / total);
    }
    if (thread == 0) lse[size_t(row) * queries + head] = most + logf(total);
}

#define PARAMETERS(T)                                                                                              \
    (const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const int* __restrict__ starts,  \
     T* __restrict__ out, float* __restrict__ lse, int rows, int queries, int key_heads, int dim, int window, float scale)
INSTANCE(attention_train, f32, float, (PLAIN_THREADS, PLAIN_BLOCKS), PARAMETERS,
         (q, k, v, starts, out, lse, queries, key_heads, dim, window, scale))
INSTANCE(attention_train, bf16, bf16, (PLAIN_THREADS, PLAIN_BLOCKS), PARAMETERS,
         (q, k, v, starts, out, lse, queries, key_heads, dim, window, scale))
#undef PARAMETERS
