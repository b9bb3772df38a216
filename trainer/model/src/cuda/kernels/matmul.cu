// Matrix products: what cuBLASLt is held against, and what computes where it is not installed. `ops::matmul`.
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

// Every result is one chain of fused multiply-adds in order of k. A thread has 4 rows and 4 columns.
template <typename T>
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
            int line = i / DEPTH, p = i % DEPTH;
            bool inside = p < depth;
            int r = first_row + line, c = first_column + line;
            left[p][line] = inside && r < m ? widen(x[size_t(r) * k + start + p]) : 0.0f;
            right[p][line] = inside && c < n ? widen(w[size_t(c) * k + start + p]) : 0.0f;
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

// Begins to copy 64 rows and 64 columns from a matrix of `rows` rows and `k` columns; what is beyond becomes zero.
template <typename T>
__device__ __forceinline__ void copy_tile(T (&to)[TILE][PITCH], const T* from, int first, int rows, int start, int k) {
#pragma unroll
    for (int i = 0; i < TILE * DEPTH / 8 / 256; i++) {
        int word = threadIdx.x + i * 256, line = word / (DEPTH / 8), column = word % (DEPTH / 8) * 8;
        bool inside = first + line < rows && start + column < k;
        const T* source = inside ? from + size_t(first + line) * k + start + column : from;
        copy_async(&to[line][column], source, inside ? 16 : 0);
    }
}

// On tensor cores, for k a multiple of 8. Each of the eight warps has 16 rows and 32 columns; while one part of k is multiplied
// the next is copied.
template <typename T>
__device__ __forceinline__ void tensor_cores(const T* x, const T* w, void* out, int m, int n, int k, int into) {
    SHARED(T, left, [2][TILE][PITCH]);
    SHARED(T, right, [2][TILE][PITCH]);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int row = warp % 4 * 16, column = warp / 4 * 32;
    int first_row = blockIdx.y * TILE, first_column = blockIdx.x * TILE;
    float sums[4][4] = {};
    copy_tile(left[0], x, first_row, m, 0, k);
    copy_tile(right[0], w, first_column, n, 0, k);
    commit_copies();
    for (int start = 0, stage = 0; start < k; start += DEPTH, stage ^= 1) {
        wait_for_copies<0>();
        // This stage is there for all, and nobody reads the other one any more.
        __syncthreads();
        if (start + DEPTH < k) {
            copy_tile(left[stage ^ 1], x, first_row, m, start + DEPTH, k);
            copy_tile(right[stage ^ 1], w, first_column, n, start + DEPTH, k);
            commit_copies();
        }
#pragma unroll
        for (int p = 0; p < DEPTH; p += 16) {
            unsigned a[4];
            load_matrices(a, &left[stage][row + lane % 16][p + lane / 16 * 8]);
#pragma unroll
            for (int pair = 0; pair < 2; pair++) {
                unsigned b[4];
                int line = column + pair * 16 + lane / 16 * 8 + lane % 8;
                load_matrices(b, &right[stage][line][p + lane / 8 % 2 * 8]);
                multiply_add<T>(sums[2 * pair], a, b[0], b[1]);
                multiply_add<T>(sums[2 * pair + 1], a, b[2], b[3]);
            }
        }
    }
#pragma unroll
    for (int part = 0; part < 4; part++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int r = first_row + row + lane / 4 + i / 2 * 8;
            int c = first_column + column + part * 8 + lane % 4 * 2 + i % 2;
            if (r < m && c < n) put<T>(out, size_t(r) * n + c, sums[part][i], into);
        }
    }
}

// Grid (⌈n / 64⌉, ⌈m / 64⌉). `out [m, n]` = `x [m, k]` · `w [n, k]`ᵀ; `into` as above, anything else adds to f32.
template <typename T>
__device__ __forceinline__ void matmul(const T* x, const T* w, void* out, int m, int n, int k, int into) {
    if (k % 8 == 0) {
        tensor_cores(x, w, out, m, n, k, into);
    } else {
        chains(x, w, out, m, n, k, into);
    }
}
template <>
__device__ __forceinline__ void matmul<float>(const float* x, const float* w, void* out, int m, int n, int k, int into) {
    chains(x, w, out, m, n, k, into);
}

#define PARAMETERS(T) (const T* __restrict__ x, const T* __restrict__ w, void* __restrict__ out, int m, int n, int k, int into)
INSTANCES(matmul, (256), PARAMETERS, (x, w, out, m, n, k, into))
#undef PARAMETERS
