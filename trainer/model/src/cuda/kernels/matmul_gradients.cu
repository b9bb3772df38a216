// The two gradients of a matrix product: what cuBLASLt is held against, and what computes where it is not installed.
// `ops::matmul::backward_input`, `ops::matmul::backward_weight`.
#include "device.cuh"

constexpr int TILE = 64;
// What becomes of a result; `machine::Into` in this order.
constexpr int INTO_SAME = 0, INTO_F32 = 1;

// Writes the result of row i and column j.
template <typename T>
__device__ __forceinline__ void put(void* out, size_t at, float value, int into) {
    float* wide = static_cast<float*>(out);
    if (into == INTO_SAME) {
        static_cast<T*>(out)[at] = narrow<T>(value);
    } else {
        wide[at] = into == INTO_F32 ? value : wide[at] + value;
    }
}

// Every result is one chain of fused multiply-adds in order of k. A thread has 4 rows and 4 columns. `TURNED`: `x` is [k, m].
template <bool TURNED, typename T>
__device__ __forceinline__ void chains(const T* x, const T* w, void* out, int m, int n, int k, int into) {
    constexpr int DEPTH = 16;
    // A word more than needed, so that a column's values lie in different banks.
    SHARED(float, left, [DEPTH][TILE + 4]);
    SHARED(float, right, [DEPTH][TILE + 4]);
    int row = threadIdx.x / 16 * 4, column = threadIdx.x % 16 * 4;
    int first_row = blockIdx.y * TILE, first_column = blockIdx.x * TILE;
    float sums[4][4] = {};
    for (int start = 0; start < k; start += DEPTH) {
        int depth = min(DEPTH, k - start);
        for (int i = threadIdx.x; i < TILE * DEPTH; i += 256) {
            // Neighbours in memory are taken by neighbours.
            int p = i / TILE, line = i % TILE, c = first_column + line;
            right[p][line] = p < depth && c < n ? widen(w[size_t(start + p) * n + c]) : 0.0f;
            if (!TURNED) p = i % DEPTH, line = i / DEPTH;
            int r = first_row + line;
            size_t at = TURNED ? size_t(start + p) * m + r : size_t(r) * k + start + p;
            left[p][line] = p < depth && r < m ? widen(x[at]) : 0.0f;
        }
        __syncthreads();
        // Not beyond the end: adding a zero would turn -0 into 0.
        for (int p = 0; p < depth; p++) {
            float a[4], b[4];
            unpack<float>(load_word(&left[p][row]), a);
            unpack<float>(load_word(&right[p][column]), b);
#pragma unroll
            for (int i = 0; i < 4; i++) {
#pragma unroll
                for (int j = 0; j < 4; j++) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int r = first_row + row + i, c = first_column + column + j;
            if (r < m && c < n) put<T>(out, size_t(r) * n + c, sums[i][j], into);
        }
    }
}

constexpr int DEPTH = 64;
// Values of a row in shared memory: 16 bytes more than needed, so that rows of a matrix lie in different banks.
constexpr int PITCH = DEPTH + 8;

// Begins to copy a square of 64 rows from row `top` and 64 columns from column `left` on of a matrix `[rows, columns]`; what is beyond
// becomes zero.
template <typename T>
__device__ __forceinline__ void copy_square(T (&to)[TILE][PITCH], const T* from, int top, int rows, int left, int columns) {
#pragma unroll
    for (int i = 0; i < TILE * DEPTH / 8 / 256; i++) {
        int word = threadIdx.x + i * 256, line = word / (DEPTH / 8), column = word % (DEPTH / 8) * 8;
        bool inside = top + line < rows && left + column < columns;
        const T* source = inside ? from + size_t(top + line) * columns + left + column : from;
        copy_async(&to[line][column], source, inside ? 16 : 0);
    }
}

// The next 64 values of k of both matrices.
template <bool TURNED, typename T>
__device__ __forceinline__ void copy_stage(T (&left)[TILE][PITCH], T (&right)[TILE][PITCH], const T* x, const T* w, int start, int m,
                                           int n, int k) {
    if (TURNED) {
        copy_square(left, x, start, k, blockIdx.y * TILE, m);
    } else {
        copy_square(left, x, blockIdx.y * TILE, m, start, k);
    }
    copy_square(right, w, start, k, blockIdx.x * TILE, n);
    commit_copies();
}

// On tensor cores, for rows of both matrices that begin at multiples of 16 bytes. Each of the eight warps has 16 rows and 32 columns;
// while one part of k is multiplied the next is copied.
template <bool TURNED, typename T>
__device__ __forceinline__ void tensor_cores(const T* x, const T* w, void* out, int m, int n, int k, int into) {
    SHARED(T, left, [2][TILE][PITCH]);
    SHARED(T, right, [2][TILE][PITCH]);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int row = warp % 4 * 16, column = warp / 4 * 32;
    float sums[4][4] = {};
    copy_stage<TURNED>(left[0], right[0], x, w, 0, m, n, k);
    for (int start = 0, stage = 0; start < k; start += DEPTH, stage ^= 1) {
        wait_for_copies<0>();
        // This stage is there for all, and nobody reads the other one any more.
        __syncthreads();
        if (start + DEPTH < k) copy_stage<TURNED>(left[stage ^ 1], right[stage ^ 1], x, w, start + DEPTH, m, n, k);
#pragma unroll
        for (int p = 0; p < DEPTH; p += 16) {
            unsigned a[4];
            if (TURNED) {
                load_matrices_turned(a, &left[stage][p + lane / 16 * 8 + lane % 8][row + lane / 8 % 2 * 8]);
            } else {
                load_matrices(a, &left[stage][row + lane % 16][p + lane / 16 * 8]);
            }
#pragma unroll
            for (int pair = 0; pair < 2; pair++) {
                unsigned b[4];
                int line = p + lane / 8 % 2 * 8 + lane % 8;
                load_matrices_turned(b, &right[stage][line][column + pair * 16 + lane / 16 * 8]);
                multiply_add<T>(sums[2 * pair], a, b[0], b[1]);
                multiply_add<T>(sums[2 * pair + 1], a, b[2], b[3]);
            }
        }
    }
#pragma unroll
    for (int part = 0; part < 4; part++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int r = blockIdx.y * TILE + row + lane / 4 + i / 2 * 8;
            int c = blockIdx.x * TILE + column + part * 8 + lane % 4 * 2 + i % 2;
            if (r < m && c < n) put<T>(out, size_t(r) * n + c, sums[part][i], into);
        }
    }
}

// By one of the two, as the rows of the matrices lie.
template <bool TURNED, typename T>
__device__ __forceinline__ void product(const T* x, const T* w, void* out, int m, int n, int k, int into) {
    if (n % 8 == 0 && (TURNED ? m : k) % 8 == 0) {
        tensor_cores<TURNED>(x, w, out, m, n, k, into);
    } else {
        chains<TURNED>(x, w, out, m, n, k, into);
    }
}

// Grid (⌈n / 64⌉, ⌈m / 64⌉). `out [m, n]` = `x [m, k]` · `w [k, n]`; `into` as above, anything else adds to f32.
template <typename T>
__device__ __forceinline__ void matmul_input(const T* x, const T* w, void* out, int m, int n, int k, int into) {
    product<false>(x, w, out, m, n, k, into);
}
template <>
__device__ __forceinline__ void matmul_input<float>(const float* x, const float* w, void* out, int m, int n, int k, int into) {
    chains<false>(x, w, out, m, n, k, into);
}

// Likewise, `out [m, n]` = `x [k, m]`ᵀ · `w [k, n]`.
template <typename T>
__device__ __forceinline__ void matmul_weight(const T* x, const T* w, void* out, int m, int n, int k, int into) {
    product<true>(x, w, out, m, n, k, into);
}
template <>
__device__ __forceinline__ void matmul_weight<float>(const float* x, const float* w, void* out, int m, int n, int k, int into) {
    chains<true>(x, w, out, m, n, k, into);
}

#define PARAMETERS(T) (const T* __restrict__ x, const T* __restrict__ w, void* __restrict__ out, int m, int n, int k, int into)
TRAINING_INSTANCES(matmul_input, (256), PARAMETERS, (x, w, out, m, n, k, into))
TRAINING_INSTANCES(matmul_weight, (256), PARAMETERS, (x, w, out, m, n, k, into))
#undef PARAMETERS
