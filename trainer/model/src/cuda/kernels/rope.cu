// From the product of a row with the weights of attention to its query, and its key and value in the cache: bias, RMSNorm of
// heads where the model has one, rotation (`ops::bias`, `ops::rms_norm`, `ops::rope`).
#include "device.cuh"

// `N` neighbours of a head as the product gives it, with their bias.
template <int N, typename T>
__device__ __forceinline__ void load_projected(const T* head, const float* bias, int i, float (&to)[N]) {
    load_few<N>(head + i, to);
    if (bias == nullptr) return;
    float added[N];
    load_few<N>(bias + i, added);
#pragma unroll
    for (int j = 0; j < N; j++) to[j] += added[j];
}

// One warp turns a head's pairs i, i + dim / 2, after its RMSNorm if there is a `norm`, and a lane `N` neighbours at a time; `N`
// must divide dim / 2. A lane takes the same values of every head, whatever the row.
template <int N, typename T>
__device__ __forceinline__ void turn(const T* from, const float* bias, const float* norm, const float2* angles, T* to,
                                     int dim, float eps) {
    int half = dim / 2, lane = threadIdx.x % 32;
    float scale = 1.0f;
    if (norm != nullptr) {
        float sum = 0.0f;
        for (int i = lane * N; i < half; i += 32 * N) {
            float a[N], b[N];
            load_projected(from, bias, i, a);
            load_projected(from, bias, i + half, b);
#pragma unroll
            for (int j = 0; j < N; j++) sum = fmaf(b[j], b[j], fmaf(a[j], a[j], sum));
        }
        scale = 1.0f / sqrtf(warp_sum(sum) / float(dim) + eps);
    }
    for (int i = lane * N; i < half; i += 32 * N) {
        float a[N], b[N];
        load_projected(from, bias, i, a);
        load_projected(from, bias, i + half, b);
#pragma unroll
        for (int j = 0; j < N; j++) {
            if (norm != nullptr) {
                a[j] = norm[i + j] * (a[j] * scale);
                b[j] = norm[i + j + half] * (b[j] * scale);
            }
            float2 angle = angles[i + j];
            float first = a[j] * angle.x - b[j] * angle.y;
            b[j] = b[j] * angle.x + a[j] * angle.y;
            a[j] = first;
        }
        store_few<N>(to + i, a);
        store_few<N>(to + i + half, b);
    }
}

// Grid (rows). A row of `qkv` is [queries · dim | key_heads · dim | key_heads · dim], `bias` as long or null; `q_norm`, `k_norm`
// [dim] or null; `angles` [positions, dim / 2] pairs of cosine and sine. `q` is [rows, queries · dim]; key and value go to slot
// `slots[row]` of `keys` and `values` [slots, key_heads, dim], and the slot to `table[starts[row] + positions[row]]` unless
// `table` is null. A row whose slot is negative is padding: only its query is written, as of position 0.
template <typename T>
__device__ __forceinline__ void rope(const T* qkv, const float* bias, const float* q_norm, const float* k_norm,
                                     const float* angles, const int* positions, const int* slots, T* q, T* keys,
                                     T* values, int* table, const int* starts, int queries, int key_heads, int dim,
                                     float eps) {
    int row = blockIdx.x, slot = slots[row], position = slot < 0 ? 0 : positions[row];
    const T* from = qkv + size_t(row) * (queries + 2 * key_heads) * dim;
    const float2* turns = reinterpret_cast<const float2*>(angles) + size_t(position) * (dim / 2);
    if (table != nullptr && slot >= 0 && threadIdx.x == 0) table[starts[row] + position] = slot;

    int turned = queries + key_heads, heads = slot < 0 ? queries : turned;
    for (int head = threadIdx.x / 32; head < heads; head += 8) {
        bool query = head < queries;
        T* to = query ? q + (size_t(row) * queries + head) * dim
                      : keys + (size_t(slot) * key_heads + head - queries) * dim;
        const float* head_bias = bias == nullptr ? nullptr : bias + head * dim;
        const float* norm = query ? q_norm : k_norm;
        if (dim % 4 == 0) {
            turn<2>(from + head * dim, head_bias, norm, turns, to, dim, eps);
        } else {
            turn<1>(from + head * dim, head_bias, norm, turns, to, dim, eps);
        }
    }
    if (slot < 0) return;
    T* to = values + size_t(slot) * key_heads * dim;
    const float* value_bias = bias == nullptr ? nullptr : bias + turned * dim;
    for (int i = threadIdx.x * 2; i < key_heads * dim; i += 512) {
        float pair[2];
        load_projected(from + turned * dim, value_bias, i, pair);
        store_few<2>(to + i, pair);
    }
}

#define PARAMETERS(T)                                                                                                   \
    (const T* __restrict__ qkv, const float* __restrict__ bias, const float* __restrict__ q_norm,                        \
     const float* __restrict__ k_norm, const float* __restrict__ angles, const int* __restrict__ positions,              \
     const int* __restrict__ slots, T* __restrict__ q, T* __restrict__ keys, T* __restrict__ values,                     \
     int* __restrict__ table, const int* __restrict__ starts, int queries, int key_heads, int dim, float eps)
INSTANCES(rope, (256), PARAMETERS,
          (qkv, bias, q_norm, k_norm, angles, positions, slots, q, keys, values, table, starts, queries, key_heads, dim, eps))
#undef PARAMETERS
