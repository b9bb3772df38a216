// Kernels with faults that the twin must find, and some without, for its own tests.
#include "device.cuh"

// out[i] = the number of thread 31 - i of the warp, through shared memory.
extern "C" __global__ void turned_around(int* out, int barrier) {
    SHARED(int, numbers, [64]);
    int i = threadIdx.x;
    numbers[i] = i;
    if (barrier != 0) __syncthreads();
    out[i] = numbers[63 - i];
}

// Reads the other warp's number and then writes its own anew, without waiting for the other warp to have read.
extern "C" __global__ void written_again(int* out, int barrier) {
    SHARED(int, numbers, [2]);
    int warp = threadIdx.x / 32;
    if (threadIdx.x % 32 == 0) numbers[warp] = warp;
    __syncthreads();
    int other = numbers[1 - warp];
    if (barrier != 0) __syncthreads();
    __syncwarp();
    if (threadIdx.x % 32 == 0) numbers[warp] = 7;
    out[threadIdx.x] = other;
}

// A barrier that only some threads come to; they must come from both warps, or end.
extern "C" __global__ void barrier_for_some(int* out, int threads) {
    if (int(threadIdx.x) < threads) __syncthreads();
    out[threadIdx.x] = 0;
}

// Two barriers for one.
extern "C" __global__ void two_barriers(int* out) {
    if (threadIdx.x < 32) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    out[threadIdx.x] = 0;
}

// A sum of the warp that lanes leave out.
extern "C" __global__ void sum_without(int* out, int lanes) {
    int value = 0;
    if (int(threadIdx.x % 32) < lanes) value = __shfl_xor_sync(ALL_LANES, int(threadIdx.x), 1);
    out[threadIdx.x] = value;
}

// Writes where it is told to.
extern "C" __global__ void write_at(int* out, int at) {
    if (threadIdx.x == 0) out[at] = 1;
}

// Writes beside an array in shared memory.
extern "C" __global__ void write_shared(int* out, int at) {
    SHARED(int, numbers, [64]);
    if (threadIdx.x == 0) numbers[at] = 1;
    out[threadIdx.x] = 0;
}

// Writes beside what the launch asked for, 64 numbers.
extern "C" __global__ void write_dynamic(int* out, int at) {
    DYNAMIC_SHARED(room);
    if (threadIdx.x == 0) reinterpret_cast<int*>(room)[at] = 1;
    out[threadIdx.x] = 0;
}

// Copies a number of each thread below `count`, and zeros for the others.
extern "C" __global__ void numbers_copied(const int* from, int* out, int count) {
    SHARED(int, numbers, [64]);
    copy_async_number(&numbers[threadIdx.x], from + threadIdx.x, int(threadIdx.x) < count);
    commit_copies();
    wait_for_copies<0>();
    __syncthreads();
    out[threadIdx.x] = numbers[63 - threadIdx.x];
}

// Copies 64 · 4 numbers through shared memory; may fail to wait.
extern "C" __global__ void copied(const int* from, int* out, int wait) {
    SHARED(int, numbers, [256]);
    copy_async(&numbers[threadIdx.x * 4], from + threadIdx.x * 4, 16);
    commit_copies();
    if (wait != 0) wait_for_copies<0>();
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += 64) out[i] = numbers[255 - i];
}

// The first of two groups of copies is waited for, the second is not.
extern "C" __global__ void second_copy_open(const int* from, int* out) {
    SHARED(int, numbers, [2][256]);
    for (int group = 0; group < 2; group++) {
        copy_async(&numbers[group][threadIdx.x * 4], from + threadIdx.x * 4, 8);
        commit_copies();
    }
    wait_for_copies<1>();
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += 64) {
        out[i] = numbers[0][i];
        out[i + 256] = numbers[1][i];
    }
}

// A load of 16 bytes from any number on.
extern "C" __global__ void load_from(const int* from, int* out, int first) {
    if (threadIdx.x == 0) out[0] = int(load_word(from + first).x);
}

// What the operations of a warp answer, 8 numbers a lane.
extern "C" __global__ void warp_operations(int* out) {
    int lane = threadIdx.x % 32, *to = out + threadIdx.x * 8;
    to[0] = __shfl_sync(ALL_LANES, lane * 10, 5);
    to[1] = __shfl_down_sync(ALL_LANES, lane, 4);
    to[2] = int(__ballot_sync(ALL_LANES, lane % 3 == 0));
    to[3] = __any_sync(ALL_LANES, lane == 7);
    to[4] = __all_sync(ALL_LANES, lane != 7);
    to[5] = warp_sum(lane);
    to[6] = int(warp_max(float(lane)));
    to[7] = __syncthreads_and(threadIdx.x != 40);
    __syncwarp();
}
