// Tiles of 16-bit values in shared memory, and their products on tensor cores. A warp has to do with 16 · TALL rows of what it
// computes; a lane of it has, of every 16, rows lane / 4 and lane / 4 + 8 and of those every eighth pair of neighbours.
#pragma once
#include "device.cuh"

// Rows are 16 bytes longer than their values, so that eight of them that are read together lie in different banks.
template <typename T, int DIM, int ROWS>
struct Tile {
    T values[ROWS][DIM + 8];
};

// Begins to copy rows, of which the first is at `from` and the others follow by `stride`, and zeros in place of those from `count` on.
template <int THREADS, typename T, int DIM, int ROWS>
__device__ __forceinline__ void copy_tile(Tile<T, DIM, ROWS>& to, const T* from, int stride, int count) {
    // Neighbouring threads that share a row: 128 bytes, or 64, of it at a time.
    constexpr int SIDE = DIM % 64 == 0 ? 8 : 4;
    int column = threadIdx.x % SIDE * 8;
    from += threadIdx.x / SIDE * stride + column;
#pragma unroll
    for (int step = 0; step < ROWS; step += THREADS / SIDE) {
        int row = step + threadIdx.x / SIDE, bytes = row < count ? 16 : 0;
        if (ROWS % (THREADS / SIDE) != 0 && row >= ROWS) break;
#pragma unroll
        for (int i = 0; i < DIM; i += SIDE * 8) copy_async(&to.values[row][column + i], from + i, bytes);
        from += THREADS / SIDE * stride;
    }
}

// Columns 16 · step.. of 16 · TALL rows from `first` on, as the left operand of a product.
template <int TALL, typename T, int DIM, int ROWS>
__device__ __forceinline__ void load_left(unsigned (&to)[TALL][4], const Tile<T, DIM, ROWS>& from, int first, int step) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int t = 0; t < TALL; t++) {
        load_matrices(to[t], &from.values[first + t * 16 + lane % 16][step * 16 + lane / 16 * 8]);
    }
}

// sums [16 · TALL, ROWS] = left [16 · TALL, DIM] · rightᵀ, where `left(step, a)` loads columns 16 · step.. of it.
template <int TALL, typename T, int DIM, int ROWS, typename Left>
__device__ __forceinline__ void multiply_turned(float (&sums)[TALL][ROWS / 8][4], Left left, const Tile<T, DIM, ROWS>& right) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int t = 0; t < TALL; t++) {
#pragma unroll
        for (int i = 0; i < ROWS / 8; i++) sums[t][i][0] = sums[t][i][1] = sums[t][i][2] = sums[t][i][3] = 0.0f;
    }
#pragma unroll
    for (int step = 0; step < DIM / 16; step++) {
        unsigned a[TALL][4];
        left(step, a);
#pragma unroll
        for (int pair = 0; pair < ROWS / 16; pair++) {
            unsigned b[4];
            load_matrices(b, &right.values[pair * 16 + lane / 16 * 8 + lane % 8][step * 16 + lane / 8 % 2 * 8]);
#pragma unroll
            for (int t = 0; t < TALL; t++) {
                multiply_add<T>(sums[t][2 * pair], a[t], b[0], b[1]);
                multiply_add<T>(sums[t][2 * pair + 1], a[t], b[2], b[3]);
            }
        }
    }
}

// sums [16 · TALL, DIM] += factors [16 · TALL, ROWS] · right, the factors rounded to T.
template <int TALL, typename T, int DIM, int ROWS>
__device__ __forceinline__ void multiply_rows(float (&sums)[TALL][DIM / 8][4], const float (&factors)[TALL][ROWS / 8][4],
                                              const Tile<T, DIM, ROWS>& right) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int step = 0; step < ROWS / 16; step++) {
        unsigned a[TALL][4];
#pragma unroll
        for (int t = 0; t < TALL; t++) {
            // The sums of a product lie as the left operand of the next one wants them.
            const float(&low)[4] = factors[t][2 * step], (&high)[4] = factors[t][2 * step + 1];
            a[t][0] = pack<T>(low[0], low[1]);
            a[t][1] = pack<T>(low[2], low[3]);
            a[t][2] = pack<T>(high[0], high[1]);
            a[t][3] = pack<T>(high[2], high[3]);
        }
#pragma unroll
        for (int pair = 0; pair < DIM / 16; pair++) {
            unsigned b[4];
            load_matrices_turned(b, &right.values[step * 16 + lane % 16][pair * 16 + lane / 16 * 8]);
#pragma unroll
            for (int t = 0; t < TALL; t++) {
                multiply_add<T>(sums[t][2 * pair], a[t], b[0], b[1]);
                multiply_add<T>(sums[t][2 * pair + 1], a[t], b[2], b[3]);
            }
        }
    }
}

// Writes a warp's rows, each times its factor, through rows `first`.. of a tile that nobody else has to do with any more. Row 0 of
// the tile goes to `to` and the others follow by `stride`; those from `count` on go nowhere.
template <int TALL, typename T, int DIM, int ROWS>
__device__ __forceinline__ void write_rows(const float (&sums)[TALL][DIM / 8][4], const float (&factors)[TALL][2],
                                           Tile<T, DIM, ROWS>& through, int first, T* to, int stride, int count) {
    constexpr int WORDS = DIM / 8;
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int t = 0; t < TALL; t++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            T* row = through.values[first + t * 16 + lane / 4 + half * 8];
#pragma unroll
            for (int i = 0; i < DIM / 8; i++) {
                float pair[2] = {sums[t][i][2 * half] * factors[t][half], sums[t][i][2 * half + 1] * factors[t][half]};
                store_few<2>(row + i * 8 + lane % 4 * 2, pair);
            }
        }
    }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 16 * TALL * WORDS / 32; i++) {
        int word = lane + i * 32, row = first + word / WORDS, column = word % WORDS * 8;
        if (row < count) store_word(to + size_t(row) * stride + column, load_word(&through.values[row][column]));
    }
}

// The first row that `row` sees.
__device__ __forceinline__ int first_seen(const int* starts, int row, int window) {
    int first = starts[row];
    return window > 0 ? max(first, row - window + 1) : first;
}

// Masks the scores of keys from `start` on for queries from `row` on; `firsts` are the first rows that those see.
template <int TALL, int EIGHTHS>
__device__ __forceinline__ void mask(float (&scores)[TALL][EIGHTHS][4], int start, int row, const int* firsts) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int t = 0; t < TALL; t++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int query = t * 16 + lane / 4 + half * 8, first = firsts[query];
#pragma unroll
            for (int i = 0; i < EIGHTHS; i++) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    int key = start + i * 8 + lane % 4 * 2 + j;
                    if (key > row + query || key < first) scores[t][i][2 * half + j] = -infinity();
                }
            }
        }
    }
}
