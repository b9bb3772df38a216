// The gradient of the embedding: `ops::embedding::backward`. Rows of the same token are brought together by the host, which knows
// the ids, and cut into pieces, so that no block adds up more than a few rows and nothing depends on who comes first.
#include "device.cuh"

constexpr int EMBEDDING_THREADS = 256;

// Grid (pieces). A piece is four ints: its first place in `order`, its rows, the token, and its row of `partials [_, hidden]`, or
// -1 where it is all there is of the token. The rows `order[first..first + rows]` of `dout [_, hidden]` are added up in order. A
// piece without rows is none.
template <typename T>
__device__ __forceinline__ void embedding_backward(const T* dout, const int* order, const int* pieces, float* partials,
                                                   float* dtable, int hidden) {
    const int* piece = pieces + 4 * size_t(blockIdx.x);
    int begin = piece[0], rows = piece[1], token = piece[2], place = piece[3];
    if (rows == 0) return;
    bool whole = hidden % GROUP == 0, add = place < 0;
    float* to = add ? dtable + size_t(token) * hidden : partials + size_t(place) * hidden;
    for (int first = threadIdx.x * GROUP; first < hidden; first += EMBEDDING_THREADS * GROUP) {
        float sums[GROUP] = {};
#pragma unroll 1
        for (int i = begin; i < begin + rows; i++) {
            float values[GROUP];
            load_group(dout + size_t(order[i]) * hidden, first, hidden, whole, values);
#pragma unroll
            for (int j = 0; j < GROUP; j++) sums[j] += values[j];
        }
        if (add) {
            float before[GROUP];
            load_group(static_cast<const float*>(to), first, hidden, whole, before);
#pragma unroll
            for (int j = 0; j < GROUP; j++) sums[j] += before[j];
        }
        store_group(to, first, hidden, whole, sums);
    }
}

// Grid (tokens of several pieces). Three ints each: the first row of `partials`, how many, and the token.
template <typename T>
__device__ __forceinline__ void embedding_join(const T* partials, const int* joins, float* dtable, int hidden) {
    const int* join = joins + 3 * size_t(blockIdx.x);
    int begin = join[0], count = join[1], token = join[2];
    if (count == 0) return;
    bool whole = hidden % GROUP == 0;
    float* to = dtable + size_t(token) * hidden;
    for (int first = threadIdx.x * GROUP; first < hidden; first += EMBEDDING_THREADS * GROUP) {
        float sums[GROUP];
        load_group(static_cast<const float*>(to), first, hidden, whole, sums);
        for (int i = begin; i < begin + count; i++) {
            float values[GROUP];
            load_group(partials + size_t(i) * hidden, first, hidden, whole, values);
#pragma unroll
            for (int j = 0; j < GROUP; j++) sums[j] += values[j];
        }
        store_group(to, first, hidden, whole, sums);
    }
}

#define PARAMETERS(T)                                                                                       \
    (const T* __restrict__ dout, const int* __restrict__ order, const int* __restrict__ pieces,             \
     float* __restrict__ partials, float* __restrict__ dtable, int hidden)
INSTANCE(embedding_backward, f32, float, (EMBEDDING_THREADS), PARAMETERS, (dout, order, pieces, partials, dtable, hidden))
#undef PARAMETERS

#define PARAMETERS(T) (const T* __restrict__ partials, const int* __restrict__ joins, float* __restrict__ dtable, int hidden)
INSTANCE(embedding_join, f32, float, (EMBEDDING_THREADS), PARAMETERS, (partials, joins, dtable, hidden))
#undef PARAMETERS
