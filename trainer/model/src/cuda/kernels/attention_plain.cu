// Attention in its plainest form, for any type and width: `ops::attention`. The other two are held against it.
#include "device.cuh"

constexpr int PLAIN_THREADS = 128;
constexpr int MOST_DIM = 256;

// Grid (rows, queries). The query of row r at position p = positions[r] sees the keys of positions 0..=p, with a `window` > 0 those
// of p - window + 1..=p; position t is in slot table[starts[r] + t] of `keys` and `values` [slots, key_heads, dim]. `q` and `out`
// are [rows, queries, dim]. A row of a negative position is padding and becomes zeros.
//
// Keys are taken by 128, counted from position 0. A thread computes the score of one of them, then up to two values of the sum.
template <typename T>
__device__ __forceinline__ void attention_plain(const T* q, const T* keys, const T* values, const int* table,
                                                const int* starts, const int* positions, T* out, int queries,
                                                int key_heads, int dim, int window, float scale) {
    SHARED(float, query, [MOST_DIM]);
    SHARED(float, weights, [PLAIN_THREADS]);
    SHARED(int, slots, [PLAIN_THREADS]);
    SHARED(float, maxima, [4]);
    SHARED(float, parts, [4]);
    int row = blockIdx.x, head = blockIdx.y, thread = threadIdx.x;
    int position = positions[row];
    size_t at = (size_t(row) * queries + head) * dim;
    if (position < 0) {
        for (int i = thread; i < dim; i += PLAIN_THREADS) out[at + i] = narrow<T>(0.0f);
        return;
    }
    for (int i = thread; i < dim; i += PLAIN_THREADS) query[i] = widen(q[at + i]);
    const int* sequence = table + starts[row];
    int key_head = head / (queries / key_heads);
    int first = window > 0 ? max(0, position - window + 1) : 0;

    float most = -infinity(), total = 0.0f, sums[2] = {0.0f, 0.0f};
    for (int tile = first / PLAIN_THREADS * PLAIN_THREADS; tile <= position; tile += PLAIN_THREADS) {
        // Nobody reads the last tile's weights any more, and the query has arrived.
        __syncthreads();
        int key = tile + thread;
        float score = -infinity();
        if (key >= first && key <= position) {
            slots[thread] = sequence[key];
            const T* from = keys + (size_t(sequence[key]) * key_heads + key_head) * dim;
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
        int begin = max(first, tile), end = min(position + 1, tile + PLAIN_THREADS);
#pragma unroll
        for (int part = 0; part < 2; part++) {
            int i = thread + part * PLAIN_THREADS;
            sums[part] *= shrink;
            for (int t = begin; i < dim && t < end; t++) {
                const T* from = values + (size_t(slots[t - tile]) * key_heads + key_head) * dim;
                sums[part] = fmaf(weights[t - tile], widen(from[i]), sums[part]);
            }
        }
    }
#pragma unroll
    for (int part = 0; part < 2; part++) {
        int i = thread + part * PLAIN_THREADS;
        if (i < dim) out[at + i] = narrow<T>(sums[part] / total);
    }
}

#define PARAMETERS(T)                                                                                           \
    (const T* __restrict__ q, const T* __restrict__ keys, const T* __restrict__ values, const int* __restrict__ table, \
     const int* __restrict__ starts, const int* __restrict__ positions, T* __restrict__ out, int queries, int key_heads, int dim, \
     int window, float scale)
INSTANCES(attention_plain, (PLAIN_THREADS), PARAMETERS,
          (q, keys, values, table, starts, positions, out, queries, key_heads, dim, window, scale))
#undef PARAMETERS
