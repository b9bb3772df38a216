// SwiGLU and the bias of a linear layer: `ops::swiglu`, `ops::bias`.
#include "device.cuh"

// Grid (rows, any): the blocks of a row share its values, 2048 at a time. `gate_up [rows, 2 · inner]` is the gate, then what it
// opens; `bias [2 · inner]` is added to both unless it is null; `out [rows, inner]` = silu(gate) · up.
template <typename T>
__device__ __forceinline__ void swiglu(const T* gate_up, const float* bias, T* out, int inner) {
    const T* from = gate_up + size_t(blockIdx.x) * 2 * inner;
    T* to = out + size_t(blockIdx.x) * inner;
    bool whole = inner % GROUP == 0;
    int stride = gridDim.y * 256 * GROUP;
    for (int first = (blockIdx.y * 256 + threadIdx.x) * GROUP; first < inner; first += stride) {
        float gate[GROUP], up[GROUP];
        load_group(from, first, inner, whole, gate);
        load_group(from + inner, first, inner, whole, up);
        if (bias != nullptr) {
            float added[GROUP];
            load_group(bias, first, inner, whole, added);
#pragma unroll
            for (int i = 0; i < GROUP; i++) gate[i] += added[i];
            load_group(bias + inner, first, inner, whole, added);
#pragma unroll
            for (int i = 0; i < GROUP; i++) up[i] += added[i];
        }
#pragma unroll
        for (int i = 0; i < GROUP; i++) {
            float sigmoid = 1.0f / (1.0f + exponential(-gate[i]));
            gate[i] = gate[i] * sigmoid * up[i];
        }
        store_group(to, first, inner, whole, gate);
    }
}

// Grid (rows). `x [rows, width]` += `bias [width]`.
template <typename T>
__device__ __forceinline__ void add_bias(T* x, const float* bias, int width) {
    T* row = x + size_t(blockIdx.x) * width;
    bool whole = width % GROUP == 0;
    for (int first = threadIdx.x * GROUP; first < width; first += 256 * GROUP) {
        float values[GROUP], added[GROUP];
        load_group(row, first, width, whole, values);
        load_group(bias, first, width, whole, added);
#pragma unroll
        for (int i = 0; i < GROUP; i++) values[i] += added[i];
        store_group(row, first, width, whole, values);
    }
}

#define PARAMETERS(T) (const T* __restrict__ gate_up, const float* __restrict__ bias, T* __restrict__ out, int inner)
INSTANCES(swiglu, (256), PARAMETERS, (gate_up, bias, out, inner))
#undef PARAMETERS

#define PARAMETERS(T) (T * x, const float* __restrict__ bias, int width)
TRAINING_INSTANCES(add_bias, (256), PARAMETERS, (x, bias, width))
#undef PARAMETERS
