// What is done to values one by one: `ops::elementwise`, `ops::rope`, `ops::swiglu` of gate and up that lie apart, and rounding to the
// type of the operands of a product. Arrays begin at a multiple of 16 bytes; a thread takes eight values.
#include "device.cuh"

constexpr int EACH_THREADS = 256;

__device__ __forceinline__ int first_of_thread() { return (blockIdx.x * EACH_THREADS + threadIdx.x) * GROUP; }

// Grid (⌈count / 2048⌉), like all here. `x [count]` = 0.
template <typename T>
__device__ __forceinline__ void zero(T* x, int count) {
    int first = first_of_thread();
    if (first >= count) return;
    float none[GROUP] = {};
    store_group(x, first, count, first + GROUP <= count, none);
}

// `into [count]` += `from [count]`.
template <typename T>
__device__ __forceinline__ void add(T* into, const T* from, int count) {
    int first = first_of_thread();
    if (first >= count) return;
    bool whole = first + GROUP <= count;
    float a[GROUP], b[GROUP];
    load_group(static_cast<const T*>(into), first, count, whole, a);
    load_group(from, first, count, whole, b);
#pragma unroll
    for (int i = 0; i < GROUP; i++) a[i] += b[i];
    store_group(into, first, count, whole, a);
}

// `x [count]` *= factor.
template <typename T>
__device__ __forceinline__ void multiply(T* x, int count, float factor) {
    int first = first_of_thread();
    if (first >= count) return;
    bool whole = first + GROUP <= count;
    float values[GROUP];
    load_group(static_cast<const T*>(x), first, count, whole, values);
#pragma unroll
    for (int i = 0; i < GROUP; i++) values[i] *= factor;
    store_group(x, first, count, whole, values);
}

// `to [count]` = `from [count]`, rounded.
template <typename T>
__device__ __forceinline__ void round_to(const float* from, T* to, int count) {
    int first = first_of_thread();
    if (first >= count) return;
    bool whole = first + GROUP <= count;
    float values[GROUP];
    load_group(from, first, count, whole, values);
    store_group(to, first, count, whole, values);
}

// `out [count]` = silu(gate) · up.
template <typename T>
__device__ __forceinline__ void gated(const T* gate, const T* up, T* out, int count) {
    int first = first_of_thread();
    if (first >= count) return;
    bool whole = first + GROUP <= count;
    float gates[GROUP], ups[GROUP];
    load_group(gate, first, count, whole, gates);
    load_group(up, first, count, whole, ups);
#pragma unroll
    for (int i = 0; i < GROUP; i++) {
        float sigmoid = 1.0f / (1.0f + exponential(-gates[i]));
        gates[i] = gates[i] * sigmoid * ups[i];
    }
    store_group(out, first, count, whole, gates);
}

// Its gradients; `dout` is that of the result.
template <typename T>
__device__ __forceinline__ void gated_backward(const T* gate, const T* up, const T* dout, T* dgate, T* dup, int count) {
    int first = first_of_thread();
    if (first >= count) return;
    bool whole = first + GROUP <= count;
    float gates[GROUP], ups[GROUP], gradients[GROUP];
    load_group(gate, first, count, whole, gates);
    load_group(up, first, count, whole, ups);
    load_group(dout, first, count, whole, gradients);
#pragma unroll
    for (int i = 0; i < GROUP; i++) {
        float sigmoid = 1.0f / (1.0f + exponential(-gates[i]));
        float silu = gates[i] * sigmoid;
        gates[i] = gradients[i] * ups[i] * (sigmoid + silu * (1.0f - sigmoid));
        ups[i] = gradients[i] * silu;
    }
    store_group(dgate, first, count, whole, gates);
    store_group(dup, first, count, whole, ups);
}

// The pairs of a row, `N` neighbours at a time; `N` must divide dim / 2.
template <int N, typename T>
__device__ __forceinline__ void rotate_row(T* row, const float2* angles, int heads, int half, float direction) {
    for (int i = threadIdx.x * N; i < heads * half; i += EACH_THREADS * N) {
        int pair = i % half;
        T* at = row + i / half * 2 * half + pair;
        float a[N], b[N];
        load_few<N>(static_cast<const T*>(at), a);
        load_few<N>(static_cast<const T*>(at + half), b);
#pragma unroll
        for (int j = 0; j < N; j++) {
            float2 angle = angles[pair + j];
            float sine = angle.y * direction, first = a[j] * angle.x - b[j] * sine;
            b[j] = b[j] * angle.x + a[j] * sine;
            a[j] = first;
        }
        store_few<N>(at, a);
        store_few<N>(at + half, b);
    }
}

// Grid (rows). Turns `x [rows, heads, dim]` by the angles of row `row % length` of `angles [length, dim / 2]`, pairs of cosine and
// sine; with `direction` -1 back.
template <typename T>
__device__ __forceinline__ void rotate(T* x, const float* angles, int heads, int dim, int length, float direction) {
    int half = dim / 2;
    T* row = x + size_t(blockIdx.x) * heads * dim;
    const float2* turns = reinterpret_cast<const float2*>(angles) + size_t(blockIdx.x % length) * half;
    if (half % 2 == 0) {
        rotate_row<2>(row, turns, heads, half, direction);
    } else {
        rotate_row<1>(row, turns, heads, half, direction);
    }
}

#define PARAMETERS(T) (T * x, int count)
INSTANCE(zero, f32, float, (EACH_THREADS), PARAMETERS, (x, count))
#undef PARAMETERS

#define PARAMETERS(T) (T* __restrict__ into, const T* __restrict__ from, int count)
TRAINING_INSTANCES(add, (EACH_THREADS), PARAMETERS, (into, from, count))
#undef PARAMETERS

#define PARAMETERS(T) (T * x, int count, float factor)
INSTANCE(multiply, f32, float, (EACH_THREADS), PARAMETERS, (x, count, factor))
#undef PARAMETERS

#define PARAMETERS(T) (const float* __restrict__ from, T* __restrict__ to, int count)
INSTANCE(round_to, bf16, bf16, (EACH_THREADS), PARAMETERS, (from, to, count))
#undef PARAMETERS

#define PARAMETERS(T) (const T* __restrict__ gate, const T* __restrict__ up, T* __restrict__ out, int count)
TRAINING_INSTANCES(gated, (EACH_THREADS), PARAMETERS, (gate, up, out, count))
#undef PARAMETERS

#define PARAMETERS(T)                                                                                             \
    (const T* __restrict__ gate, const T* __restrict__ up, const T* __restrict__ dout, T* __restrict__ dgate, \
     T* __restrict__ dup, int count)
TRAINING_INSTANCES(gated_backward, (EACH_THREADS), PARAMETERS, (gate, up, dout, dgate, dup, count))
#undef PARAMETERS

#define PARAMETERS(T) (T * x, const float* __restrict__ angles, int heads, int dim, int length, float direction)
TRAINING_INSTANCES(rotate, (EACH_THREADS), PARAMETERS, (x, angles, heads, dim, length, direction))
#undef PARAMETERS
