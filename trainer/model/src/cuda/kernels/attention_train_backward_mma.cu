// The gradients of attention on tensor cores, for bf16 (FlashAttention-2, arXiv 2307.08691, without its atomics): a kernel for those
// of keys and values, one for those of queries, each of which computes the weights again. Shapes are as in
// attention_train_backward.cu, for a `dim` of 64, 96 or 128.
#include "tiles.cuh"

// Rows that are taken together, counted from row 0.
constexpr int TILE = 64;
constexpr float LOG2_E = 1.44269504f;

// What both kernels are given.
template <typename T>
struct Given {
    const T *q, *k, *v;
    const int* starts;
    const T* dout;
    const float *lse, *delta;
    int rows, queries, key_heads, window;
    float scale;
};

// ---- Keys and values ----

constexpr int KEYS_THREADS = 128;

// What is known of the queries of a tile; zeros of those beyond the last row, whose weights meet nothing but zeros.
struct Queries {
    float lse[TILE], delta[TILE];
    int starts[TILE];

    // The first row that a query sees; `row` is the tile's first.
    __device__ __forceinline__ int first(int query, int row, int window) const {
        int first = starts[query];
        return window > 0 ? max(first, row + query - window + 1) : first;
    }
};

// Masks scores [16 keys, 64 queries] where a query does not see a key. `key` is the lane's first key and `row` the tile's first query.
__device__ __forceinline__ void mask_queries(float (&scores)[1][TILE / 8][4], const Queries& queries, int key, int row,
                                             int window) {
#pragma unroll
    for (int i = 0; i < TILE / 8; i++) {
        int at = i * 8 + threadIdx.x % 4 * 2;
        int first[2] = {queries.first(at, row, window), queries.first(at + 1, row, window)};
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int of = key + j / 2 * 8;
            bool unseen = (of > row + at + j % 2) | (of < first[j % 2]);
            scores[0][i][j] = unseen ? -infinity() : scores[0][i][j];
        }
    }
}

// Turns scores [16 keys, 64 queries] into weights e^(scale · score - lse), and `gradients` of weights into those of scaled scores.
__device__ __forceinline__ void weigh_keys(float (&scores)[1][TILE / 8][4], float (&gradients)[1][TILE / 8][4],
                                           const Queries& queries, float scale) {
#pragma unroll
    for (int i = 0; i < TILE / 8; i++) {
        int query = i * 8 + threadIdx.x % 4 * 2;
        float lse[2], delta[2];
        load_few<2>(&queries.lse[query], lse);
        load_few<2>(&queries.delta[query], delta);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            scores[0][i][j] = fast_exp2(fmaf(scores[0][i][j], scale * LOG2_E, -lse[j % 2] * LOG2_E));
            gradients[0][i][j] = scores[0][i][j] * (gradients[0][i][j] - delta[j % 2]);
        }
    }
}

// Tiles of queries from `row` on of which one or another sees keys up to `last`; the warp counts 32 at a time, since `starts` never
// falls.
template <typename T>
__device__ __forceinline__ int count_tiles(const Given<T>& given, int row, int last) {
    int count = 0, lane = threadIdx.x % 32;
    for (unsigned seen = ALL_LANES; seen == ALL_LANES; count += __popc(seen)) {
        int first = row + (count + lane) * TILE;
        seen = __ballot_sync(ALL_LANES, first < given.rows && first_seen(given.starts, first, given.window) <= last);
    }
    return count;
}

template <typename T, int DIM>
__device__ __forceinline__ void of_keys(unsigned char* room, Queries (&about)[2], const Given<T>& given, T* dk, T* dv) {
    typedef Tile<T, DIM, TILE> Part;
    Part& key_part = *reinterpret_cast<Part*>(room);
    Part &value_part = *(&key_part + 1), &dout_part = *(&key_part + 2);
    // Two stages.
    Part* query_parts = &key_part + 3;
    int thread = threadIdx.x, key_head = blockIdx.x, begin = blockIdx.y * TILE, rows = given.rows;
    int sharing = given.queries / given.key_heads, stride = given.queries * DIM, key_stride = given.key_heads * DIM;
    size_t key_at = size_t(begin) * key_stride + key_head * DIM;
    int warp_row = warp_of(thread) * 16, end_row = begin + count_tiles(given, begin, min(begin + TILE, rows) - 1) * TILE;
    // Of the queries of a head from a row on.
    auto place = [&](int head, int row) { return size_t(row) * given.queries + head; };
    auto copy_douts = [&](int head, int row) {
        copy_tile<KEYS_THREADS>(dout_part, given.dout + place(head, row) * DIM, stride, rows - row);
        commit_copies();
    };
    auto copy_queries = [&](int stage, int head, int row) {
        int at = thread % TILE;
        copy_tile<KEYS_THREADS>(query_parts[stage], given.q + place(head, row) * DIM, stride, rows - row);
        size_t of = place(head, row + at);
        bool there = row + at < rows;
        if (thread < TILE) {
            copy_async_number(&about[stage].lse[at], given.lse + of, there);
            copy_async_number(&about[stage].delta[at], given.delta + of, there);
        } else {
            copy_async_number(&about[stage].starts[at], given.starts + row + at, there);
        }
        commit_copies();
    };

    int head = key_head * sharing, end = head + sharing;
    copy_tile<KEYS_THREADS>(key_part, given.k + key_at, key_stride, rows - begin);
    copy_tile<KEYS_THREADS>(value_part, given.v + key_at, key_stride, rows - begin);
    copy_queries(0, head, begin);
    copy_douts(head, begin);
    float key_sums[1][DIM / 8][4] = {}, value_sums[1][DIM / 8][4] = {};
    for (int row = begin, stage = 0; head < end; stage ^= 1) {
        int next = row + TILE < end_row ? row + TILE : begin, next_head = next > begin ? head : head + 1;
        wait_for_copies<0>();
        // These are there for all, and nobody reads the last queries any more.
        __syncthreads();
        if (next_head < end) copy_queries(stage ^ 1, next_head, next);
        const Queries& queries = about[stage];
        float scores[1][TILE / 8][4], gradients[1][TILE / 8][4];
        // A warp none of whose keys one of these queries sees has nothing to compute.
        int key = begin + warp_row;
        bool sees = key + 15 >= queries.first(0, row, given.window);
        if (sees) {
            auto keys = [&](int step, unsigned(&a)[1][4]) { load_left(a, key_part, warp_row, step); };
            auto values = [&](int step, unsigned(&a)[1][4]) { load_left(a, value_part, warp_row, step); };
            multiply_turned(scores, keys, query_parts[stage]);
            bool whole = key + 15 <= row && key >= queries.first(min(TILE, rows - row) - 1, row, given.window);
            if (!whole) mask_queries(scores, queries, key + thread % 32 / 4, row, given.window);
            multiply_turned(gradients, values, dout_part);
            weigh_keys(scores, gradients, queries, given.scale);
            multiply_rows(value_sums, scores, dout_part);
        }
        // Nobody reads these gradients any more.
        __syncthreads();
        if (next_head < end) copy_douts(next_head, next);
        if (sees) multiply_rows(key_sums, gradients, query_parts[stage]);
        row = next;
        head = next_head;
    }
    float ones[1][2] = {{1.0f, 1.0f}}, scales[1][2] = {{given.scale, given.scale}};
    write_rows(value_sums, ones, value_part, warp_row, dv + key_at, key_stride, rows - begin);
    write_rows(key_sums, scales, key_part, warp_row, dk + key_at, key_stride, rows - begin);
}

// Grid (key_heads, tiles of 64 rows): the gradients of a tile's keys and values. The query heads that share them come one after
// another, and of each the tiles from this one on. Keys are the rows of every product here, so that what one gives lies as the next
// takes it.
template <typename T>
__device__ __forceinline__ void attention_train_keys_mma(const Given<T>& given, T* dk, T* dv, int dim) {
    // 320 rows of 136 values at most: keys, values, gradients of the result and two stages of queries.
    DYNAMIC_SHARED(room);
    SHARED(Queries, about, [2]);
    if (dim == 64) {
        of_keys<T, 64>(room, about, given, dk, dv);
    } else if (dim == 96) {
        of_keys<T, 96>(room, about, given, dk, dv);
    } else if (dim == 128) {
        of_keys<T, 128>(room, about, given, dk, dv);
    }
}

// ---- Queries ----

constexpr int QUERIES = 128;
constexpr int QUERIES_THREADS = 256;

template <typename T, int DIM>
__device__ __forceinline__ void of_queries(unsigned char* room, int (&firsts)[QUERIES], const Given<T>& given, T* dq) {
    typedef Tile<T, DIM, TILE> Part;
    // Two stages of keys and two of values, which begin as the queries and the gradients of their results.
    Part *key_parts = reinterpret_cast<Part*>(room), *value_parts = key_parts + 2;
    Tile<T, DIM, QUERIES>& query_part = *reinterpret_cast<Tile<T, DIM, QUERIES>*>(key_parts);
    Tile<T, DIM, QUERIES>& dout_part = *reinterpret_cast<Tile<T, DIM, QUERIES>*>(value_parts);
    int thread = threadIdx.x, lane = thread % 32, head = blockIdx.x;
    int begin = int(gridDim.y - 1 - blockIdx.y) * QUERIES, count = min(QUERIES, given.rows - begin), last = begin + count - 1;
    int stride = given.queries * DIM, key_stride = given.key_heads * DIM;
    size_t query_at = (size_t(begin) * given.queries + head) * DIM;
    int key_offset = head / (given.queries / given.key_heads) * DIM;
    auto copy_keys = [&](int start, int stage) {
        size_t at = size_t(start) * key_stride + key_offset;
        copy_tile<QUERIES_THREADS>(key_parts[stage], given.k + at, key_stride, last + 1 - start);
        copy_tile<QUERIES_THREADS>(value_parts[stage], given.v + at, key_stride, last + 1 - start);
        commit_copies();
    };
    int warp_row = warp_of(thread) * 16, end_row = min(warp_row + 16, count);
    if (thread < QUERIES) firsts[thread] = first_seen(given.starts, min(begin + thread, last), given.window);
    copy_tile<QUERIES_THREADS>(query_part, given.q + query_at, stride, count);
    copy_tile<QUERIES_THREADS>(dout_part, given.dout + query_at, stride, count);
    commit_copies();
    float lse[2], delta[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = min(begin + warp_row + lane / 4 + half * 8, last);
        lse[half] = given.lse[size_t(row) * given.queries + head] * LOG2_E;
        delta[half] = given.delta[size_t(row) * given.queries + head];
    }
    wait_for_copies<0>();
    __syncthreads();
    unsigned query[DIM / 16][1][4], dout[DIM / 16][1][4];
#pragma unroll
    for (int step = 0; step < DIM / 16; step++) {
        load_left(query[step], query_part, warp_row, step);
        load_left(dout[step], dout_part, warp_row, step);
    }
    // Nobody reads the queries from there any more.
    __syncthreads();
    int start = first_seen(given.starts, begin, given.window) / TILE * TILE;
    copy_keys(start, 0);
    float sums[1][DIM / 8][4] = {};
    for (int stage = 0; start <= last; start += TILE, stage ^= 1) {
        wait_for_copies<0>();
        // These are there for all, and nobody reads the last ones any more.
        __syncthreads();
        if (start + TILE <= last) copy_keys(start + TILE, stage ^ 1);
        // A warp none of whose queries sees any of these keys has nothing to compute.
        if (warp_row >= count || start >= begin + end_row || start + TILE <= firsts[warp_row]) continue;
        float scores[1][TILE / 8][4], gradients[1][TILE / 8][4];
        auto queries = [&](int step, unsigned(&a)[1][4]) {
            for (int i = 0; i < 4; i++) a[0][i] = query[step][0][i];
        };
        auto douts = [&](int step, unsigned(&a)[1][4]) {
            for (int i = 0; i < 4; i++) a[0][i] = dout[step][0][i];
        };
        multiply_turned(scores, queries, key_parts[stage]);
        bool whole = start + TILE <= begin + warp_row + 1 && start >= firsts[end_row - 1];
        if (!whole) mask(scores, start, begin + warp_row, firsts + warp_row);
        multiply_turned(gradients, douts, value_parts[stage]);
#pragma unroll
        for (int i = 0; i < TILE / 8; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float weight = fast_exp2(fmaf(scores[0][i][j], given.scale * LOG2_E, -lse[j / 2]));
                gradients[0][i][j] = weight * (gradients[0][i][j] - delta[j / 2]);
            }
        }
        multiply_rows(sums, gradients, key_parts[stage]);
    }
    // Nobody reads keys any more.
    __syncthreads();
    float scales[1][2] = {{given.scale, given.scale}};
    write_rows(sums, scales, query_part, warp_row, dq + query_at, stride, count);
}

// Grid (queries, tiles of 128 rows): the gradients of a tile's queries, 16 of them a warp's.
template <typename T>
__device__ __forceinline__ void attention_train_queries_mma(const Given<T>& given, T* dq, int dim) {
    // 256 rows of 136 values at most: two stages of keys and values.
    DYNAMIC_SHARED(room);
    SHARED(int, firsts, [QUERIES]);
    if (dim == 64) {
        of_queries<T, 64>(room, firsts, given, dq);
    } else if (dim == 96) {
        of_queries<T, 96>(room, firsts, given, dq);
    } else if (dim == 128) {
        of_queries<T, 128>(room, firsts, given, dq);
    }
}

#define PARAMETERS(T)                                                                                                   \
    (const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const int* __restrict__ starts,       \
     const T* __restrict__ dout, const float* __restrict__ lse, const float* __restrict__ delta, T* __restrict__ dk,  \
     T* __restrict__ dv, int rows, int queries, int key_heads, int dim, int window, float scale)
INSTANCE(attention_train_keys_mma, bf16, bf16, (KEYS_THREADS, 2), PARAMETERS,
         (Given<bf16>{q, k, v, starts, dout, lse, delta, rows, queries, key_heads, window, scale}, dk, dv, dim))
#undef PARAMETERS

#define PARAMETERS(T)                                                                                                   \
    (const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const int* __restrict__ starts,       \
     const T* __restrict__ dout, const float* __restrict__ lse, const float* __restrict__ delta, T* __restrict__ dq,  \
     int rows, int queries, int key_heads, int dim, int window, float scale)
INSTANCE(attention_train_queries_mma, bf16, bf16, (QUERIES_THREADS, 1), PARAMETERS,
         (Given<bf16>{q, k, v, starts, dout, lse, delta, rows, queries, key_heads, window, scale}, dq, dim))
#undef PARAMETERS
