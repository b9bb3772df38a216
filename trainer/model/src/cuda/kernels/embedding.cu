// Rows of a table by token id, in f32 and times a factor: `ops::embedding`.
#include "device.cuh"

// Grid (rows). `x [rows, hidden]` gets row `ids[row]` of `table [vocabulary, hidden]`, times `scale`.
template <typename T>
__device__ __forceinline__ void embedding(const T* table, const int* ids, float* x, int hidden, float scale) {
    const T* from = table + size_t(ids[blockIdx.x]) * hidden;
    float* to = x + size_t(blockIdx.x) * hidden;
    bool whole = hidden % GROUP == 0;
    for (int first = threadIdx.x * GROUP; first < hidden; first += blockDim.x * GROUP) {
        float values[GROUP];
        load_group(from, first, hidden, whole, values);
#pragma unroll
        for (int i = 0; i < GROUP; i++) values[i] *= scale;
        store_group(to, first, hidden, whole, values);
    }
}

#define PARAMETERS(T) (const T* __restrict__ table, const int* __restrict__ ids, float* __restrict__ x, int hidden, float scale)
INSTANCES(embedding, (256), PARAMETERS, (table, ids, x, hidden, scale))
#undef PARAMETERS
