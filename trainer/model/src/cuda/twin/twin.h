// CUDA's execution model on one thread of a CPU, for tests: as much of it as our kernels use. `device.cuh` includes this in
// place of what NVRTC has built in.
//
// The threads of a block are fibres that run one after another until a barrier or an operation of the whole warp stops them.
// What a GPU leaves undefined is made to show: shared memory begins as NaN, a copy with cp.async arrives when it is waited for
// and its target is NaN until then, and every launch can be run with the threads in the opposite order, which must give the
// same bits.
#pragma once

#include <math.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "fibres.h"

#define __global__
#define __device__ inline
#define __forceinline__
#define __launch_bounds__(...)

struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};

#define threadIdx (twin::self->thread)
#define blockIdx (twin::block.index)
#define blockDim (twin::block.threads)
#define gridDim (twin::block.blocks)

// `SHARED(float, sums, [8])` is `__shared__ float sums[8]`.
#define SHARED(type, name, shape)           \
    using name##_shape = type shape;        \
    static const char name##_site = 0;      \
    name##_shape& name = *static_cast<name##_shape*>(twin::shared(&name##_site, sizeof(name##_shape), #name))

// As many bytes as the launch says, one array.
#define DYNAMIC_SHARED(name) unsigned char* name = static_cast<unsigned char*>(twin::dynamic_shared())

// Barriers. The line tells one from another, so that threads that wait at different ones are found.
static inline void __syncthreads(int line = __builtin_LINE()) { twin::wait_for_block(line, true); }
static inline int __syncthreads_and(int predicate, int line = __builtin_LINE()) {
    return twin::wait_for_block(line, predicate != 0);
}
static inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, int line = __builtin_LINE()) {
    twin::check_mask(mask);
    twin::together("__syncwarp", line, sizeof(mask), &mask);
}

namespace twin {

// What lane `source` gave as `value`.
template <typename V>
V of_lane(unsigned mask, V value, int source, const char* what, int line) {
    check_mask(mask);
    return static_cast<const V*>(together(what, line, sizeof(V), &value))[source & 31];
}

}  // namespace twin

template <typename V>
V __shfl_sync(unsigned mask, V value, int source, int line = __builtin_LINE()) {
    return twin::of_lane(mask, value, source, "__shfl_sync", line);
}
template <typename V>
V __shfl_xor_sync(unsigned mask, V value, int other, int line = __builtin_LINE()) {
    return twin::of_lane(mask, value, twin::self->lane ^ other, "__shfl_xor_sync", line);
}
// A lane without a neighbour so far down keeps its own value.
template <typename V>
V __shfl_down_sync(unsigned mask, V value, int down, int line = __builtin_LINE()) {
    int source = twin::self->lane + down;
    return twin::of_lane(mask, value, source < 32 ? source : twin::self->lane, "__shfl_down_sync", line);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    twin::check_mask(mask);
    const int* given = static_cast<const int*>(twin::together("__ballot_sync", line, sizeof(int), &predicate));
    unsigned bits = 0;
    for (int lane = 0; lane < 32; lane++) bits |= (given[lane] != 0 ? 1u : 0u) << lane;
    return bits;
}
static inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
static inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return __ballot_sync(mask, predicate, line) != 0;
}
static inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return __ballot_sync(mask, predicate, line) == 0xFFFFFFFFu;
}

static inline int atomicMin(int* address, int value) {
    int before = *address;
    if (value < before) *address = value;
    return before;
}

static inline float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
static inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }

namespace twin {

// Formats of 16 bits, by their bits.
struct Bf16 {
    static float widen(unsigned bits) { return __uint_as_float(bits << 16); }
    static unsigned round(float value) {
        unsigned bits = __float_as_uint(value);
        if (value != value) return 0x7FFFu;
        return (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
    }
};
struct F16 {
    static float widen(unsigned bits) {
        unsigned sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, fraction = bits & 0x3FFu;
        if (exponent == 31) return __uint_as_float(sign | 0x7F800000u | fraction << 13);
        if (exponent > 0) return __uint_as_float(sign | (exponent + 112) << 23 | fraction << 13);
        float size = float(fraction) * 0x1p-24f;
        return sign ? -size : size;
    }
    static unsigned round(float value) {
        unsigned sign = __float_as_uint(value) >> 16 & 0x8000u;
        if (value != value) return 0x7FFFu;
        float size = fabsf(value);
        if (size >= 65520.0f) return sign | 0x7C00u;
        // Adding a power of two whose last place is the result's makes the CPU round to nearest even.
        int exponent = size < 6.103515625e-5f ? -14 : ilogbf(size);
        float steps = nearbyintf(ldexpf(size, 10 - exponent));
        float back = ldexpf(steps, exponent - 10);
        if (back < 6.103515625e-5f) return sign | unsigned(steps);
        int rounded = ilogbf(back);
        return sign | (unsigned(rounded + 15) << 10) | (unsigned(ldexpf(back, 10 - rounded)) & 0x3FFu);
    }
};

// `mma.sync.aligned.m16n8k16.row.col.f32`: c += a · b, where a register holds two values, the lower one first. Lane 4g + t
// holds of a [16, 16] the rows g and g + 8, of b [16, 8] the column g, of c [16, 8] the rows g and g + 8; PTX ISA, "Matrix
// fragments for mma.m16n8k16".
template <typename Format>
void mma(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line) {
    struct Given {
        unsigned a[4], b[2];
        float c[4];
    };
    struct Taken {
        float c[32][4];
    };
    Given given;
    std::memcpy(given.a, a, sizeof(a));
    std::memcpy(given.b, b, sizeof(b));
    std::memcpy(given.c, c, sizeof(c));
    auto compute = [](const void* all, void* result) {
        const Given* lanes = static_cast<const Given*>(all);
        float left[16][16], right[16][8], sums[16][8];
        for (int lane = 0; lane < 32; lane++) {
            int g = lane / 4, t = lane % 4;
            for (int r = 0; r < 4; r++) {
                unsigned pair = lanes[lane].a[r];
                float* to = &left[g + r % 2 * 8][2 * t + r / 2 * 8];
                to[0] = Format::widen(pair & 0xFFFFu);
                to[1] = Format::widen(pair >> 16);
            }
            for (int r = 0; r < 2; r++) {
                right[2 * t + 8 * r][g] = Format::widen(lanes[lane].b[r] & 0xFFFFu);
                right[2 * t + 8 * r + 1][g] = Format::widen(lanes[lane].b[r] >> 16);
            }
        }
        // Where value r of a lane's part of c stands.
        auto of = [&sums](int lane, int r) -> float& { return sums[lane / 4 + r / 2 * 8][2 * (lane % 4) + r % 2]; };
        for (int i = 0; i < 128; i++) of(i / 4, i % 4) = lanes[i / 4].c[i % 4];
        for (int row = 0; row < 16; row++) {
            for (int k = 0; k < 16; k++) {
                for (int n = 0; n < 8; n++) sums[row][n] = fmaf(left[row][k], right[k][n], sums[row][n]);
            }
        }
        for (int i = 0; i < 128; i++) static_cast<Taken*>(result)->c[i / 4][i % 4] = of(i / 4, i % 4);
    };
    const Taken* taken = static_cast<const Taken*>(together("mma", line, sizeof(given), &given, compute));
    std::memcpy(c, taken->c[self->lane], sizeof(c));
}

// `ldmatrix.x1/.x2/.x4`: lane 8i + r names row r of matrix i, 8 values of 16 bits; each lane gets two neighbours of every
// matrix. With `.trans` the matrix is turned first.
template <int COUNT, bool TRANSPOSED>
void ldmatrix(unsigned (&to)[COUNT], const void* row, int line) {
    struct Taken {
        uint16_t matrices[COUNT][8][8];
    };
    auto load = [](const void* all, void* result) {
        const void* const* rows = static_cast<const void* const*>(all);
        for (int lane = 0; lane < 8 * COUNT; lane++) {
            check_access(rows[lane], 16, true, "ldmatrix");
            std::memcpy(static_cast<Taken*>(result)->matrices[lane / 8][lane % 8], rows[lane], 16);
        }
    };
    const Taken* taken = static_cast<const Taken*>(together("ldmatrix", line, sizeof(row), &row, load));
    int g = self->lane / 4, t = self->lane % 4;
    for (int i = 0; i < COUNT; i++) {
        auto& m = taken->matrices[i];
        unsigned low = TRANSPOSED ? m[2 * t][g] : m[g][2 * t];
        unsigned high = TRANSPOSED ? m[2 * t + 1][g] : m[g][2 * t + 1];
        to[i] = low | high << 16;
    }
}

// `cp.async.shared.global` of `size` bytes, of which those beyond `bytes` become zero. See the head of this file.
static inline void copy_later(void* to, const void* from, int bytes, int size = 16) {
    check_access(to, size_t(size), true, "cp.async");
    if (bytes > 0) check_access(from, size_t(size), false, "cp.async");
    if (bytes < 0 || bytes > size) fail("cp.async of %d bytes", bytes);
    std::memset(to, 0xFF, size_t(size));
    self->pending[self->issued++ % PENDING] = Copy{to, from, bytes, size, self->group};
    if (self->issued - self->landed > PENDING) fail("more than %d copies of a thread are under way", PENDING);
}
static inline void commit_copies() { self->group++; }
static inline void wait_for_copies(int but) {
    for (; self->landed < self->issued; self->landed++) {
        const Copy& copy = self->pending[self->landed % PENDING];
        if (self->group - copy.group <= unsigned(but)) break;
        std::memset(copy.to, 0, size_t(copy.size));
        std::memcpy(copy.to, copy.from, size_t(copy.bytes));
    }
}

}  // namespace twin

// ---- Calls from Rust ----

namespace twin {

// Calls a kernel with arguments given by their addresses, and says of what kinds they must be.
template <auto KERNEL>
struct Call;
template <typename... P, void (*KERNEL)(P...)>
struct Call<KERNEL> {
    static void run(void** arguments) { run_with(arguments, std::index_sequence_for<P...>{}); }
    template <size_t... I>
    static void run_with(void** arguments, std::index_sequence<I...>) {
        KERNEL(*static_cast<P*>(arguments[I])...);
    }
    template <typename A>
    static constexpr char kind() {
        static_assert(std::is_pointer_v<A> || std::is_same_v<A, int> || std::is_same_v<A, float>);
        return std::is_pointer_v<A> ? 'p' : std::is_same_v<A, int> ? 'i' : 'f';
    }
    static constexpr char kinds[] = {kind<P>()..., 0};
};

struct Entry {
    void (*run)(void**);
    const char* kinds;
};

}  // namespace twin
