// What the kernels share: types of 16 bits, whole 16-byte words, sums of a warp and of a block, and the instructions that CUDA's
// own headers would wrap. Beside it there is only what includes it (`tiles.cuh`).
//
// Compiled with --fmad=false: only what is written as fmaf is fused, so a sum rounds the same way everywhere.
#pragma once

#ifdef SEKISHO_TWIN
#include "twin.h"
#else
#define SHARED(type, name, shape) __shared__ __align__(16) type name shape
// Bytes in shared memory, as many as the launch asks for (`Kernel::shared_bytes`).
#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

// Values of a row that a thread takes at a time.
constexpr int GROUP = 8;
constexpr unsigned ALL_LANES = 0xFFFFFFFFu;

// The upper half of an f32.
struct bf16 {
    unsigned short bits;
};
// IEEE 754 half.
struct f16 {
    unsigned short bits;
};

#define INSTANCE(name, suffix, T, threads, parameters, arguments)                              \
    extern "C" __global__ void __launch_bounds__ threads name##_##suffix parameters(T) { \
        name<T> arguments;                                                                     \
    }
// A kernel for bf16 and f16; `threads` in parentheses as __launch_bounds__ takes it, `parameters` a macro of the type.
#define HALF_INSTANCES(name, threads, parameters, arguments)       \
    INSTANCE(name, bf16, bf16, threads, parameters, arguments) \
    INSTANCE(name, f16, f16, threads, parameters, arguments)
// A kernel for every type.
#define INSTANCES(name, threads, parameters, arguments)           \
    INSTANCE(name, f32, float, threads, parameters, arguments) \
    HALF_INSTANCES(name, threads, parameters, arguments)

// A kernel for the types that are trained in.
#define TRAINING_INSTANCES(name, threads, parameters, arguments)  \
    INSTANCE(name, f32, float, threads, parameters, arguments) \
    INSTANCE(name, bf16, bf16, threads, parameters, arguments)

// ---- Types ----

// Two values of 16 bits from one register, the lower half first.
template <typename T>
__device__ float low(unsigned pair);
template <typename T>
__device__ float high(unsigned pair);
// Two values into one register, each to the nearest, ties to even.
template <typename T>
__device__ unsigned pack(float low, float high);

#ifdef SEKISHO_TWIN
template <>
__device__ __forceinline__ float low<bf16>(unsigned pair) {
    return twin::Bf16::widen(pair & 0xFFFFu);
}
template <>
__device__ __forceinline__ float high<bf16>(unsigned pair) {
    return twin::Bf16::widen(pair >> 16);
}
template <>
__device__ __forceinline__ unsigned pack<bf16>(float low, float high) {
    return twin::Bf16::round(low) | twin::Bf16::round(high) << 16;
}
template <>
__device__ __forceinline__ float low<f16>(unsigned pair) {
    return twin::F16::widen(pair & 0xFFFFu);
}
template <>
__device__ __forceinline__ float high<f16>(unsigned pair) {
    return twin::F16::widen(pair >> 16);
}
template <>
__device__ __forceinline__ unsigned pack<f16>(float low, float high) {
    return twin::F16::round(low) | twin::F16::round(high) << 16;
}
#else
template <>
__device__ __forceinline__ float low<bf16>(unsigned pair) {
    return __uint_as_float(pair << 16);
}
template <>
__device__ __forceinline__ float high<bf16>(unsigned pair) {
    return __uint_as_float(pair & 0xFFFF0000u);
}
template <>
__device__ __forceinline__ unsigned pack<bf16>(float low, float high) {
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
template <>
__device__ __forceinline__ float low<f16>(unsigned pair) {
    float value;
    asm("{ .reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, l; }" : "=f"(value) : "r"(pair));
    return value;
}
template <>
__device__ __forceinline__ float high<f16>(unsigned pair) {
    float value;
    asm("{ .reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, h; }" : "=f"(value) : "r"(pair));
    return value;
}
template <>
__device__ __forceinline__ unsigned pack<f16>(float low, float high) {
    unsigned pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
#endif

// Not used, but named where a type may be f32.
template <>
__device__ __forceinline__ float low<float>(unsigned) {
    return 0.0f;
}
template <>
__device__ __forceinline__ float high<float>(unsigned) {
    return 0.0f;
}
template <>
__device__ __forceinline__ unsigned pack<float>(float, float) {
    return 0;
}

template <typename T>
__device__ __forceinline__ float widen(T value) {
    return low<T>(value.bits);
}
template <>
__device__ __forceinline__ float widen<float>(float value) {
    return value;
}
template <typename T>
__device__ __forceinline__ T narrow(float value) {
    return T{static_cast<unsigned short>(pack<T>(value, 0.0f))};
}
template <>
__device__ __forceinline__ float narrow<float>(float value) {
    return value;
}

// ---- Words of 16 bytes ----

// Values of a word.
template <typename T>
constexpr int PER_WORD = 16 / int(sizeof(T));

template <typename T>
__device__ __forceinline__ void unpack(uint4 word, float* to) {
    unsigned parts[4] = {word.x, word.y, word.z, word.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        to[2 * i] = low<T>(parts[i]);
        to[2 * i + 1] = high<T>(parts[i]);
    }
}
template <>
__device__ __forceinline__ void unpack<float>(uint4 word, float* to) {
    to[0] = __uint_as_float(word.x);
    to[1] = __uint_as_float(word.y);
    to[2] = __uint_as_float(word.z);
    to[3] = __uint_as_float(word.w);
}
template <typename T>
__device__ __forceinline__ uint4 pack_word(const float* from) {
    return uint4{pack<T>(from[0], from[1]), pack<T>(from[2], from[3]), pack<T>(from[4], from[5]),
                 pack<T>(from[6], from[7])};
}
template <>
__device__ __forceinline__ uint4 pack_word<float>(const float* from) {
    return uint4{__float_as_uint(from[0]), __float_as_uint(from[1]), __float_as_uint(from[2]),
                 __float_as_uint(from[3])};
}

template <typename T>
__device__ __forceinline__ uint4 load_word(const T* from) {
#ifdef SEKISHO_TWIN
    twin::check_access(from, 16, false, "a load of 16 bytes");
#endif
    return *reinterpret_cast<const uint4*>(from);
}
template <typename T>
__device__ __forceinline__ void store_word(T* to, uint4 word) {
#ifdef SEKISHO_TWIN
    twin::check_access(to, 16, false, "a store of 16 bytes");
#endif
    *reinterpret_cast<uint4*>(to) = word;
}

// Values `first..first + N` of a row, zeros beyond its `width`. `whole` says that the width is a multiple of N, so that all rows
// begin at a multiple of 16 bytes; either way the values are the same.
template <typename T, int N>
__device__ __forceinline__ void load_group(const T* row, int first, int width, bool whole, float (&to)[N]) {
    if (whole) {
#pragma unroll
        for (int i = 0; i < N; i += PER_WORD<T>) unpack<T>(load_word(row + first + i), to + i);
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++) to[i] = first + i < width ? widen(row[first + i]) : 0.0f;
}
template <typename T, int N>
__device__ __forceinline__ void store_group(T* row, int first, int width, bool whole, const float (&from)[N]) {
    if (whole) {
#pragma unroll
        for (int i = 0; i < N; i += PER_WORD<T>) store_word(row + first + i, pack_word<T>(from + i));
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        if (first + i < width) row[first + i] = narrow<T>(from[i]);
    }
}

// `N` values, one or two; two begin at a multiple of their size.
template <int N, typename T>
__device__ __forceinline__ void load_few(const T* from, float (&to)[N]) {
#ifdef SEKISHO_TWIN
    twin::check_access(from, N * sizeof(T), false, "a load");
#endif
    if (N == 1) {
        to[0] = widen(*from);
    } else if (sizeof(T) == 4) {
        float2 pair = *reinterpret_cast<const float2*>(from);
        to[0] = pair.x;
        to[N - 1] = pair.y;
    } else {
        unsigned pair = *reinterpret_cast<const unsigned*>(from);
        to[0] = low<T>(pair);
        to[N - 1] = high<T>(pair);
    }
}
template <int N, typename T>
__device__ __forceinline__ void store_few(T* to, const float (&from)[N]) {
#ifdef SEKISHO_TWIN
    twin::check_access(to, N * sizeof(T), false, "a store");
#endif
    if (N == 1) {
        *to = narrow<T>(from[0]);
    } else if (sizeof(T) == 4) {
        *reinterpret_cast<float2*>(to) = float2{from[0], from[N - 1]};
    } else {
        *reinterpret_cast<unsigned*>(to) = pack<T>(from[0], from[N - 1]);
    }
}

// ---- Numbers ----

__device__ __forceinline__ float infinity() { return __uint_as_float(0x7F800000u); }
__device__ __forceinline__ bool is_finite(float x) { return (__float_as_uint(x) & 0x7F800000u) != 0x7F800000u; }

// `e^x`, bit for bit that of the operations on the CPU (`ops/lanes.rs`).
__device__ __forceinline__ float exponential(float x) {
    constexpr float LOWEST = -86.6434f, HIGHEST = 88.72283f, ROUND = 12582912.0f;
    float clamped = x < LOWEST ? LOWEST : x > HIGHEST ? HIGHEST : x;
    float shifted = fmaf(clamped, 1.44269504f, ROUND);
    float n = shifted - ROUND;
    float r = fmaf(n, 2.1219444e-4f, fmaf(n, -0.6933594f, clamped));
    float p = 1.9875691e-4f;
    p = fmaf(p, r, 1.3981999e-3f);
    p = fmaf(p, r, 8.333452e-3f);
    p = fmaf(p, r, 4.1665796e-2f);
    p = fmaf(p, r, 0.16666665f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r * r, r) + 1.0f;
    unsigned exponent = (__float_as_uint(shifted) - __float_as_uint(ROUND) + 126u) << 23;
    float value = p * __uint_as_float(exponent) * 2.0f;
    return x < LOWEST ? 0.0f : x > HIGHEST ? infinity() : value;
}

// `2^x` as fast as there is; exact for 0 and for negative infinity.
__device__ __forceinline__ float fast_exp2(float x) {
#ifdef SEKISHO_TWIN
    return exp2f(x);
#else
    float value;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(value) : "f"(x));
    return value;
#endif
}

// ---- Sums of a warp and of a block: always the same tree, and every thread gets the same bits ----

// The warp of a thread, known to the compiler to be the same for all of it: what depends on it does not diverge.
__device__ __forceinline__ int warp_of(int thread) { return __shfl_sync(ALL_LANES, thread / 32, 0); }

template <typename V>
__device__ __forceinline__ V warp_sum(V value) {
#pragma unroll
    for (int other = 16; other > 0; other /= 2) value += __shfl_xor_sync(ALL_LANES, value, other);
    return value;
}
__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
    for (int other = 16; other > 0; other /= 2) value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, other));
    return value;
}

// Of all threads of a block of `WARPS` warps; `parts` is not written again before the next barrier of the caller.
template <int WARPS, typename V>
__device__ __forceinline__ V block_sum(V value, V (&parts)[WARPS]) {
    value = warp_sum(value);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    V sum = parts[0];
#pragma unroll
    for (int warp = 1; warp < WARPS; warp++) sum += parts[warp];
    return sum;
}
template <int WARPS>
__device__ __forceinline__ float block_max(float value, float (&parts)[WARPS]) {
    value = warp_max(value);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    float most = parts[0];
#pragma unroll
    for (int warp = 1; warp < WARPS; warp++) most = fmaxf(most, parts[warp]);
    return most;
}

// ---- Copies into shared memory that go on meanwhile, and tensor cores ----

// Copies the first `bytes` of 16 bytes and fills up with zeros.
__device__ __forceinline__ void copy_async(void* shared, const void* global, int bytes) {
#ifdef SEKISHO_TWIN
    twin::copy_later(shared, global, bytes);
#else
    unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes) : "memory");
#endif
}
// Copies 4 bytes, or fills them with zeros.
__device__ __forceinline__ void copy_async_number(void* shared, const void* global, bool there) {
#ifdef SEKISHO_TWIN
    twin::copy_later(shared, global, there ? 4 : 0, 4);
#else
    unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(global), "r"(there ? 4 : 0) : "memory");
#endif
}
// The copies since the last call are one group.
__device__ __forceinline__ void commit_copies() {
#ifdef SEKISHO_TWIN
    twin::commit_copies();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Waits for the thread's own copies, those of the last `BUT` groups apart; a barrier must follow before others may read them.
template <int BUT>
__device__ __forceinline__ void wait_for_copies() {
#ifdef SEKISHO_TWIN
    twin::wait_for_copies(BUT);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(BUT) : "memory");
#endif
}

// Four 8 x 8 matrices of 16-bit values from shared memory; lane 8i + r names row r of matrix i.
__device__ __forceinline__ void load_matrices(unsigned (&to)[4], const void* row) {
#ifdef SEKISHO_TWIN
    twin::ldmatrix<4, false>(to, row, __LINE__);
#else
    unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
#endif
}
// The same, turned.
__device__ __forceinline__ void load_matrices_turned(unsigned (&to)[4], const void* row) {
#ifdef SEKISHO_TWIN
    twin::ldmatrix<4, true>(to, row, __LINE__);
#else
    unsigned from = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
#endif
}

// c [16, 8] += a [16, 16] · b [16, 8], spread over the warp as m16n8k16 has it.
template <typename T>
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);

#ifdef SEKISHO_TWIN
template <>
__device__ __forceinline__ void multiply_add<bf16>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    twin::mma<twin::Bf16>(c, a, {b0, b1}, __LINE__);
}
template <>
__device__ __forceinline__ void multiply_add<f16>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    twin::mma<twin::F16>(c, a, {b0, b1}, __LINE__);
}
#else
template <>
__device__ __forceinline__ void multiply_add<bf16>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
__device__ __forceinline__ void multiply_add<f16>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif
