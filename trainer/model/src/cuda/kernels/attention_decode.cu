// Attention of single queries, as in generation: a block for every piece of 256 keys of a row and key head, then one that puts a
// row's pieces together. `ops::attention`. Memory is the limit here, so a piece's keys and values are loaded as whole words, once
// for all query heads that share them.
#include "device.cuh"

constexpr int PIECE = 256;
constexpr int DECODE_THREADS = 128;
constexpr int MOST_DIM = 256;
// Query heads taken together; more that share a key head are taken in turns.
constexpr int MOST_HEADS = 16;
// Keys that a lane loads before it computes with them.
constexpr int AT_ONCE = 4;

// Where value i of a query stands in shared memory, so that lanes that read `E` values each meet in no bank.
template <int E>
__device__ __forceinline__ int place(int i) {
    return E == 8 ? i % 8 / 4 * (MOST_DIM / 2) + i / 8 * 4 + i % 4 : i;
}

// `E` neighbours of a row of keys or values: a word, or one value.
template <typename T, int E>
__device__ __forceinline__ void load_part(const T* from, float* to) {
    if (E == 1) {
        to[0] = widen(*from);
    } else {
        unpack<T>(load_word(from), to);
    }
}

// The same as it lies in memory, so that it takes fewer registers until it is needed.
template <typename T, int E>
struct Raw {
    uint4 word;
    __device__ __forceinline__ void load(const T* from) { word = load_word(from); }
    __device__ __forceinline__ void widened(float (&to)[E]) const { unpack<T>(word, to); }
};
template <typename T>
struct Raw<T, 1> {
    T value;
    __device__ __forceinline__ void load(const T* from) { value = *from; }
    __device__ __forceinline__ void widened(float (&to)[1]) const { to[0] = widen(value); }
};

// Sums of four values over `L` neighbouring lanes, the same tree for each; lane l gets that of value l / (L / 4).
template <int L>
__device__ __forceinline__ float sums_of_four(const float (&values)[4], int lane) {
    bool upper = (lane & (L / 2)) != 0, odd = (lane & (L / 4)) != 0;
    float a = upper ? values[2] : values[0], b = upper ? values[3] : values[1];
    a += __shfl_xor_sync(ALL_LANES, upper ? values[0] : values[2], L / 2);
    b += __shfl_xor_sync(ALL_LANES, upper ? values[1] : values[3], L / 2);
    float sum = odd ? b : a;
    sum += __shfl_xor_sync(ALL_LANES, odd ? a : b, L / 4);
#pragma unroll
    for (int other = L / 8; other > 0; other /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, other);
    return sum;
}

// What the parts of a piece share: which of its keys the row sees, and where keys and values are.
template <typename T>
struct Piece {
    const T* from;
    size_t stride;
    int dim, begin, end;
};

// Scores of the heads' queries. `L` lanes take a key, each of them `R` parts of `E` values.
template <typename T, int E, int L, int R>
__device__ __forceinline__ void score(const Piece<T>& piece, const int (&slots)[PIECE],
                                      const float (&queries)[MOST_HEADS][MOST_DIM], float (&scores)[MOST_HEADS][PIECE],
                                      int heads, float scale) {
    constexpr int KEYS = DECODE_THREADS / L * AT_ONCE;
    int lane = threadIdx.x % L, group = threadIdx.x / L * AT_ONCE;
    for (int first = piece.begin / KEYS * KEYS; first < piece.end; first += KEYS) {
        float keys[AT_ONCE][R * E];
#pragma unroll
        for (int key = 0; key < AT_ONCE; key++) {
            int slot = slots[first + group + key];
#pragma unroll
            for (int part = 0; part < R; part++) {
                int at = (lane + part * L) * E;
#pragma unroll
                for (int i = 0; i < E; i++) keys[key][part * E + i] = 0.0f;
                if (slot >= 0 && at < piece.dim) load_part<T, E>(piece.from + slot * piece.stride + at, keys[key] + part * E);
            }
        }
        for (int head = 0; head < heads; head++) {
            float sums[AT_ONCE] = {};
#pragma unroll
            for (int part = 0; part < R; part++) {
                float query[E];
#pragma unroll
                for (int i = 0; i < E; i += E == 1 ? 1 : 4) {
                    load_part<float, E == 1 ? 1 : 4>(&queries[head][place<E>((lane + part * L) * E + i)], query + i);
                }
#pragma unroll
                for (int i = 0; i < E; i++) {
#pragma unroll
                    for (int key = 0; key < AT_ONCE; key++) {
                        sums[key] = fmaf(query[i], keys[key][part * E + i], sums[key]);
                    }
                }
            }
            float sum = sums_of_four<L>(sums, lane);
            if (lane % (L / 4) == 0) scores[head][first + group + lane / (L / 4)] = sum * scale;
        }
    }
}

// The same, as many lanes and parts as the width asks for.
template <typename T, int E>
__device__ __forceinline__ void score_all(const Piece<T>& piece, const int (&slots)[PIECE],
                                          const float (&queries)[MOST_HEADS][MOST_DIM],
                                          float (&scores)[MOST_HEADS][PIECE], int heads, float scale) {
    int parts = piece.dim / E;
    if (E == 1) {
        score<T, E, 32, MOST_DIM / 32>(piece, slots, queries, scores, heads, scale);
    } else if (parts <= 8) {
        score<T, E, 8, 1>(piece, slots, queries, scores, heads, scale);
    } else if (parts <= 16) {
        score<T, E, 16, 1>(piece, slots, queries, scores, heads, scale);
    } else {
        score<T, E, 32, MOST_DIM / E / 32>(piece, slots, queries, scores, heads, scale);
    }
}

// Turns a head's scores into weights, zeros where nothing is seen; one warp a head. Their largest score and their sum go behind
// the head's sums of values.
__device__ __forceinline__ void weigh(float (&scores)[MOST_HEADS][PIECE], int heads, int begin, int end, float* partial,
                                      size_t stride, int dim) {
    int lane = threadIdx.x % 32;
    for (int head = threadIdx.x / 32; head < heads; head += DECODE_THREADS / 32) {
        float values[PIECE / 32], most = -infinity(), total = 0.0f;
#pragma unroll
        for (int i = 0; i < PIECE / 32; i++) {
            int key = lane + 32 * i;
            values[i] = key >= begin && key < end ? scores[head][key] : -infinity();
            most = fmaxf(most, values[i]);
        }
        most = warp_max(most);
#pragma unroll
        for (int i = 0; i < PIECE / 32; i++) {
            float weight = exponential(values[i] - most);
            scores[head][lane + 32 * i] = weight;
            total += weight;
        }
        total = warp_sum(total);
        if (lane == 0) {
            partial[head * stride + dim] = most;
            partial[head * stride + dim + 1] = total;
        }
    }
}

// Sums of values of `HEADS` heads by their weights. A thread takes one part of `E` values of every so-manieth key; the threads'
// sums are then added in their order.
template <typename T, int E, int HEADS>
__device__ __forceinline__ void sum_values(const Piece<T>& piece, const int (&slots)[PIECE],
                                           const float (&weights)[MOST_HEADS][PIECE], int first_head, int heads,
                                           float (&scratch)[2][DECODE_THREADS * 8], float* partial, size_t stride) {
    int parts = piece.dim / E, lanes = 1;
    while (lanes < parts && lanes < DECODE_THREADS) lanes *= 2;
    int part = threadIdx.x % lanes, group = threadIdx.x / lanes, groups = DECODE_THREADS / lanes;
    // More parts than threads only where a part is one value.
    for (int start = 0; start < parts; start += lanes) {
        float sums[HEADS][E] = {};
        int from = start + part < parts ? piece.begin + ((group - piece.begin) & (groups - 1)) : piece.end;
        for (int key = from; key < piece.end; key += AT_ONCE * groups) {
            Raw<T, E> values[AT_ONCE];
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) {
                // Beyond the end the last one again, with no weight.
                int slot = slots[min(key + i * groups, piece.end - 1)];
                values[i].load(piece.from + slot * piece.stride + (start + part) * E);
            }
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) {
                if (key + i * groups >= piece.end) break;
                float wide[E];
                values[i].widened(wide);
#pragma unroll
                for (int head = 0; head < HEADS; head++) {
                    float weight = weights[first_head + head][key + i * groups];
#pragma unroll
                    for (int j = 0; j < E; j++) sums[head][j] = fmaf(weight, wide[j], sums[head][j]);
                }
            }
        }
#pragma unroll
        for (int head = 0; head < HEADS; head++) {
            if (first_head + head >= heads) break;
            // One half is written while the other is read.
            float* half = scratch[head % 2];
#pragma unroll
            for (int j = 0; j < E; j++) half[(group * lanes + part) * E + j] = sums[head][j];
            __syncthreads();
            float* to = partial + (first_head + head) * stride + start * E;
            for (int i = threadIdx.x; i < lanes * E && start * E + i < piece.dim; i += DECODE_THREADS) {
                float sum = half[i];
                for (int other = 1; other < groups; other++) sum += half[other * lanes * E + i];
                to[i] = sum;
            }
        }
        // The next heads, or parts, begin with the first half again.
        __syncthreads();
    }
}

template <typename T, int E>
__device__ __forceinline__ void sum_all_values(const Piece<T>& piece, const int (&slots)[PIECE],
                                               const float (&weights)[MOST_HEADS][PIECE], int heads,
                                               float (&scratch)[2][DECODE_THREADS * 8], float* partial, size_t stride) {
    if (heads == 1) {
        sum_values<T, E, 1>(piece, slots, weights, 0, heads, scratch, partial, stride);
    } else if (heads == 2) {
        sum_values<T, E, 2>(piece, slots, weights, 0, heads, scratch, partial, stride);
    } else if (heads <= 4) {
        sum_values<T, E, 4>(piece, slots, weights, 0, heads, scratch, partial, stride);
    } else {
        for (int first = 0; first < heads; first += 8) {
            sum_values<T, E, 8>(piece, slots, weights, first, heads, scratch, partial, stride);
        }
    }
}

// Grid (rows, key_heads, pieces). What a row sees and where it is as in `attention_plain`; piece i are the keys of positions
// 256i..256(i + 1). `partial` is [rows, queries, pieces, dim + 2] in f32: the sum of values by weights e^(score - most), then that
// most, then the sum of the weights. A piece of which the row sees nothing is not written.
template <typename T>
__device__ __forceinline__ void attention_decode(const T* q, const T* keys, const T* values, const int* table,
                                                 const int* starts, const int* positions, float* partial, int queries,
                                                 int key_heads, int dim, int window, float scale, int pieces) {
    SHARED(float, query, [MOST_HEADS][MOST_DIM]);
    SHARED(float, scores, [MOST_HEADS][PIECE]);
    SHARED(int, slots, [PIECE]);
    int row = blockIdx.x, key_head = blockIdx.y, start = blockIdx.z * PIECE, position = positions[row];
    int first = window > 0 ? max(0, position - window + 1) : 0;
    int begin = max(first - start, 0), end = min(position + 1 - start, PIECE);
    if (begin >= end) return;
    for (int i = threadIdx.x; i < PIECE; i += DECODE_THREADS) {
        slots[i] = i >= begin && i < end ? table[starts[row] + start + i] : -1;
    }
    size_t stride = size_t(key_heads) * dim, shared_from = size_t(key_head) * dim;
    Piece<T> of_keys{keys + shared_from, stride, dim, begin, end}, of_values{values + shared_from, stride, dim, begin, end};
    // The queries are read no more when values are summed.
    auto& scratch = reinterpret_cast<float(&)[2][DECODE_THREADS * 8]>(query);
    bool words = dim % PER_WORD<T> == 0;
    int sharing = queries / key_heads;
    for (int taken = 0; taken < sharing; taken += MOST_HEADS) {
        int heads = min(MOST_HEADS, sharing - taken), head = key_head * sharing + taken;
        for (int i = threadIdx.x; i < heads * MOST_DIM; i += DECODE_THREADS) {
            int at = i % MOST_DIM;
            float value = at < dim ? widen(q[(size_t(row) * queries + head + i / MOST_DIM) * dim + at]) : 0.0f;
            query[i / MOST_DIM][words ? place<PER_WORD<T>>(at) : at] = value;
        }
        __syncthreads();
        if (words) {
            score_all<T, PER_WORD<T>>(of_keys, slots, query, scores, heads, scale);
        } else {
            score_all<T, 1>(of_keys, slots, query, scores, heads, scale);
        }
        __syncthreads();
        size_t next_head = size_t(pieces) * (dim + 2);
        float* to = partial + (size_t(row) * queries + head) * next_head + size_t(blockIdx.z) * (dim + 2);
        weigh(scores, heads, begin, end, to, next_head, dim);
        __syncthreads();
        if (words) {
            sum_all_values<T, PER_WORD<T>>(of_values, slots, scores, heads, scratch, to, next_head);
        } else {
            sum_all_values<T, 1>(of_values, slots, scores, heads, scratch, to, next_head);
        }
    }
}

// Grid (rows, queries). Puts together the pieces of `partial` that a row sees, in their order; `out` is [rows, queries, dim]. A row
// of a negative position is padding and becomes zeros.
template <typename T>
__device__ __forceinline__ void attention_combine(const float* partial, const int* positions, T* out, int queries, int dim,
                                                  int window, int pieces) {
    int row = blockIdx.x, position = positions[row];
    size_t head = size_t(row) * queries + blockIdx.y;
    const float* from = partial + head * pieces * (dim + 2);
    int first = window > 0 ? max(0, position - window + 1) / PIECE : 0, last = position < 0 ? -1 : position / PIECE;
    float most = -infinity(), total = 0.0f;
    for (int piece = first; piece <= last; piece++) most = fmaxf(most, from[size_t(piece) * (dim + 2) + dim]);
    for (int piece = first; piece <= last; piece++) {
        const float* behind = from + size_t(piece) * (dim + 2) + dim;
        total = fmaf(exponential(behind[0] - most), behind[1], total);
    }
    for (int i = threadIdx.x; i < dim; i += DECODE_THREADS) {
        float sum = 0.0f;
        for (int piece = first; piece <= last; piece++) {
            const float* sums = from + size_t(piece) * (dim + 2);
            sum = fmaf(exponential(sums[dim] - most), sums[i], sum);
        }
        out[head * dim + i] = narrow<T>(position < 0 ? 0.0f : sum / total);
    }
}

#define PARAMETERS(T)                                                                                           \
    (const T* __restrict__ q, const T* __restrict__ keys, const T* __restrict__ values, const int* __restrict__ table, \
     const int* __restrict__ starts, const int* __restrict__ positions, float* __restrict__ partial, int queries, int key_heads,  \
     int dim, int window, float scale, int pieces)
INSTANCES(attention_decode, (DECODE_THREADS), PARAMETERS,
          (q, keys, values, table, starts, positions, partial, queries, key_heads, dim, window, scale, pieces))
#undef PARAMETERS

#define PARAMETERS(T)                                                                                                \
    (const float* __restrict__ partial, const int* __restrict__ positions, T* __restrict__ out, int queries, int dim, \
     int window, int pieces)
INSTANCES(attention_combine, (DECODE_THREADS), PARAMETERS, (partial, positions, out, queries, dim, window, pieces))
#undef PARAMETERS
