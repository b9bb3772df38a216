// The gradients of attention in their plainest form, for any width up to 256: `ops::attention::backward` and
// `ops::windowed_attention::backward`. Weights are computed again from the saved logarithms of their sums, once for the gradients
// of the keys and values and once for that of the queries, so that every sum has one owner and one order
// (FlashAttention 2, arXiv 2307.08691, without its atomics).
//
// Shapes are as in attention_train.cu; gradients are laid out as what they are of, `delta` as `lse`.
#include "device.cuh"

constexpr int PLAIN_THREADS = 128;
// Blocks that share a multiprocessor: few enough that nothing spills.
constexpr int PLAIN_BLOCKS = 8;
constexpr int MOST_DIM = 256;

// Grid (rows). delta [rows, queries] = the sum of dout · out over a head, a warp each.
template <typename T>
__device__ __forceinline__ void attention_train_delta(const T* out, const T* dout, float* delta, int queries, int dim) {
    int lane = threadIdx.x % 32;
    bool whole = dim % GROUP == 0;
    for (int head = warp_of(threadIdx.x); head < queries; head += PLAIN_THREADS / 32) {
        size_t at = (size_t(blockIdx.x) * queries + head) * dim;
        // A lane's eight values; a head has no more of them than the warp has lanes.
        float a[GROUP] = {}, b[GROUP] = {}, sum = 0.0f;
        if (lane * GROUP < dim) {
            load_group(out + at, lane * GROUP, dim, whole, a);
            load_group(dout + at, lane * GROUP, dim, whole, b);
        }
#pragma unroll
        for (int i = 0; i < GROUP; i++) sum = fmaf(a[i], b[i], sum);
        sum = warp_sum(sum);
        if (lane == 0) delta[size_t(blockIdx.x) * queries + head] = sum;
    }
}

// Of a query and a key whose vectors lie in shared memory on one side and at `far` on the other.
template <typename T>
__device__ __forceinline__ float product(const float* near, const T* far, int dim) {
    float sum = 0.0f;
    for (int i = 0; i < dim; i++) sum = fmaf(near[i], widen(far[i]), sum);
    return sum;
}

// Grid (rows, key_heads): the gradients of a row's key and value. The query heads that share them come one after another, and of
// each the rows from this one on, 128 at a time. A thread computes weights of one of them, then up to two values of each sum.
template <typename T>
__device__ __forceinline__ void attention_train_keys(const T* q, const T* k, const T* v, const int* starts, const T* dout,
                                                     const float* lse, const float* delta, T* dk, T* dv, int rows,
                                                     int queries, int key_heads, int dim, int window, float scale) {
    SHARED(float, key, [MOST_DIM]);
    SHARED(float, value, [MOST_DIM]);
    SHARED(float, weights, [PLAIN_THREADS]);
    SHARED(float, scores, [PLAIN_THREADS]);
    int row = blockIdx.x, key_head = blockIdx.y, thread = threadIdx.x, sharing = queries / key_heads;
    size_t at = (size_t(row) * key_heads + key_head) * dim;
    for (int i = thread; i < dim; i += PLAIN_THREADS) {
        key[i] = widen(k[at + i]);
        value[i] = widen(v[at + i]);
    }
    int end = window > 0 ? min(rows, row + window) : rows;
    float of_key[2] = {0.0f, 0.0f}, of_value[2] = {0.0f, 0.0f};
    for (int head = key_head * sharing; head < (key_head + 1) * sharing; head++) {
        // A row that begins behind this one ends it for all that follow.
        for (int tile = row; tile < end && starts[tile] <= row; tile += PLAIN_THREADS) {
            // Nobody reads the last tile's weights any more, and the key has arrived.
            __syncthreads();
            int query = tile + thread;
            float weight = 0.0f, score = 0.0f;
            if (query < end && starts[query] <= row) {
                size_t of = size_t(query) * queries + head;
                weight = exponential(product(key, q + of * dim, dim) * scale - lse[of]);
                score = weight * (product(value, dout + of * dim, dim) - delta[of]) * scale;
            }
            weights[thread] = weight;
            scores[thread] = score;
            __syncthreads();
            int count = min(PLAIN_THREADS, end - tile);
#pragma unroll
            for (int part = 0; part < 2; part++) {
                int i = thread + part * PLAIN_THREADS;
                for (int t = 0; i < dim && t < count; t++) {
                    size_t of = (size_t(tile + t) * queries + head) * dim + i;
                    of_key[part] = fmaf(scores[t], widen(q[of]), of_key[part]);
                    of_value[part] = fmaf(weights[t], widen(dout[of]), of_value[part]);
                }
            }
        }
    }
#pragma unroll
    for (int part = 0; part < 2; part++) {
        int i = thread + part * PLAIN_THREADS;
        if (i < dim) {
            dk[at + i] = narrow<T>(of_key[part]);
            dv[at + i] = narrow<T>(of_value[part]);
        }
    }
}

// Grid (rows, queries): the gradient of a row's query, over keys by 128, counted from row 0.
template <typename T>
__device__ __forceinline__ void attention_train_queries(const T* q, const T* k, const T* v, const int* starts, const T* dout,
                                                        const float* lse, const float* delta, T* dq, int queries,
                                                        int key_heads, int dim, int window, float scale) {
    SHARED(float, query, [MOST_DIM]);
    SHARED(float, along, [MOST_DIM]);
    SHARED(float, scores, [PLAIN_THREADS]);
    int row = blockIdx.x, head = blockIdx.y, thread = threadIdx.x;
    size_t of = size_t(row) * queries + head;
    for (int i = thread; i < dim; i += PLAIN_THREADS) {
        query[i] = widen(q[of * dim + i]);
        along[i] = widen(dout[of * dim + i]);
    }
    int key_head = head / (queries / key_heads), first = starts[row];
    if (window > 0) first = max(first, row - window + 1);
    float sums[2] = {0.0f, 0.0f};
    for (int tile = first / PLAIN_THREADS * PLAIN_THREADS; tile <= row; tile += PLAIN_THREADS) {
        // Nobody reads the last tile's scores any more, and the query has arrived.
        __syncthreads();
        int key = tile + thread;
        if (key >= first && key <= row) {
            size_t at = (size_t(key) * key_heads + key_head) * dim;
            float weight = exponential(product(query, k + at, dim) * scale - lse[of]);
            scores[thread] = weight * (product(along, v + at, dim) - delta[of]) * scale;
        }
        __syncthreads();
        int begin = max(first, tile), end = min(row + 1, tile + PLAIN_THREADS);
#pragma unroll
        for (int part = 0; part < 2; part++) {
            int i = thread + part * PLAIN_THREADS;
            for (int t = begin; i < dim && t < end; t++) {
                sums[part] = fmaf(scores[t - tile], widen(k[(size_t(t) * key_heads + key_head) * dim + i]), sums[part]);
            }
        }
    }
#pragma unroll
    for (int part = 0; part < 2; part++) {
        int i = thread + part * PLAIN_THREADS;
        if (i < dim) dq[of * dim + i] = narrow<T>(sums[part]);
    }
}

#define PARAMETERS(T) \
    (const T* __restrict__ out, const T* __restrict__ dout, float* __restrict__ delta, int queries, int dim)
INSTANCE(attention_train_delta, f32, float, (PLAIN_THREADS, PLAIN_BLOCKS), PARAMETERS, (out, dout, delta, queries, dim))
INSTANCE(attention_train_delta, bf16, bf16, (PLAIN_THREADS, PLAIN_BLOCKS), PARAMETERS, (out, dout, delta, queries, dim))
#undef PARAMETERS

#define PARAMETERS(T)                                                                                                   \
    (const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const int* __restrict__ starts,       \
     const T* __restrict__ dout, const float* __restrict__ lse, const float* __restrict__ delta, T* __restrict__ dk,  \
     T* __restrict__ dv, int rows, int queries, int key_heads, int dim, int window, float scale)
INSTANCE(attention_train_keys, f32, float, (PLAIN_THREADS, PLAIN_BLOCKS), PARAMETERS,
         (q, k, v, starts, dout, lse, delta, dk, dv, rows, queries, key_heads, dim, window, scale))
INSTANCE(attention_train_keys, bf16, bf16, (PLAIN_THREADS, PLAIN_BLOCKS), PARAMETERS,
         (q, k, v, starts, dout, lse, delta, dk, dv, rows, queries, key_heads, dim, window, scale))
#undef PARAMETERS

#define PARAMETERS(T)                                                                                                   \
    (const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const int* __restrict__ starts,       \
     const T* __restrict__ dout, const float* __restrict__ lse, const float* __restrict__ delta, T* __restrict__ dq,  \
     int rows, int queries, int key_heads, int dim, int window, float scale)
INSTANCE(attention_train_queries, f32, float, (PLAIN_THREADS, PLAIN_BLOCKS), PARAMETERS,
         (q, k, v, starts, dout, lse, delta, dq, queries, key_heads, dim, window, scale))
INSTANCE(attention_train_queries, bf16, bf16, (PLAIN_THREADS, PLAIN_BLOCKS), PARAMETERS,
         (q, k, v, starts, dout, lse, delta, dq, queries, key_heads, dim, window, scale))
#undef PARAMETERS
