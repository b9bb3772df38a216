// Attention of consecutive queries of a sequence on tensor cores, for the 16-bit types: the forward pass of FlashAttention-2
// (arXiv 2307.08691). `ops::attention`.
#include "device.cuh"

// Keys that are taken together, counted from position 0; a tile has as many queries: row by row, and in a row head by head of those
// that share a key head.
constexpr int KEYS = 64;
constexpr int MOST_DIM = 128;
constexpr int PREFILL_THREADS = 128;
// Blocks that share a multiprocessor: what registers allow without spilling any.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900 && __CUDA_ARCH__ < 1200
constexpr int PREFILL_BLOCKS = 3;
#else
constexpr int PREFILL_BLOCKS = 2;
#endif

// A tile of rows, as the program lists them: consecutive rows of one sequence, of which the first is at `position`, and the
// sequence's place in the table of slots.
struct Tile {
    int first, rows, position, start;
};

// A matrix in shared memory. Rows are 16 bytes longer than their values, so that eight of them that are read together lie in
// different banks.
template <typename T, int DIM>
struct Matrix {
    T values[64][DIM + 8];
};

// Begins to copy 64 rows: row i is number `number(i)` of those that begin `offset` behind multiples of `stride` from `from` on,
// or zeros where that is negative. Four neighbouring threads copy 64 bytes of a row at a time, and a thread has to do with two
// rows only.
template <typename T, int DIM, typename Number>
__device__ __forceinline__ void copy_rows(Matrix<T, DIM>& to, const T* from, int stride, int offset,
                                          Number number) {
#pragma unroll
    for (int row = threadIdx.x / 4; row < 64; row += PREFILL_THREADS / 4) {
        int at = number(row), bytes = at < 0 ? 0 : 16, column = threadIdx.x % 4 * 8;
        const T* values = from + size_t(max(at, 0)) * stride + offset + column;
#pragma unroll
        for (int i = 0; i < DIM; i += 32) copy_async(&to.values[row][column + i], values + i, bytes);
    }
}

// What a warp keeps of its 16 queries: a lane has of rows lane / 4 and lane / 4 + 8 every eighth pair of neighbours.
template <int DIM>
struct Running {
    // Sums of values, by weights 2^(score - most).
    float sums[DIM / 8][4];
    // Of the two rows; the total is the lane's share of it.
    float most[2], total[2];
};

// scores [16, 64] = queries · keysᵀ.
template <typename T, int DIM>
__device__ __forceinline__ void multiply_keys(float (&scores)[KEYS / 8][4], const unsigned (&queries)[DIM / 16][4],
                                              const Matrix<T, DIM>& keys) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < KEYS / 8; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) scores[i][j] = 0.0f;
    }
#pragma unroll
    for (int step = 0; step < DIM / 16; step++) {
#pragma unroll
        for (int pair = 0; pair < KEYS / 16; pair++) {
            unsigned b[4];
            load_matrices(b, &keys.values[pair * 16 + lane / 16 * 8 + lane % 8][step * 16 + lane / 8 % 2 * 8]);
            multiply_add<T>(scores[2 * pair], queries[step], b[0], b[1]);
            multiply_add<T>(scores[2 * pair + 1], queries[step], b[2], b[3]);
        }
    }
}

// sums [16, DIM] += weights · values; the weights are rounded to T.
template <typename T, int DIM>
__device__ __forceinline__ void add_values(float (&sums)[DIM / 8][4], const float (&weights)[KEYS / 8][4],
                                           const Matrix<T, DIM>& values) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int step = 0; step < KEYS / 16; step++) {
        const float(&left)[4] = weights[2 * step], (&right)[4] = weights[2 * step + 1];
        // The scores of a product lie as the left operand of the next one wants them.
        unsigned a[4] = {pack<T>(left[0], left[1]), pack<T>(left[2], left[3]), pack<T>(right[0], right[1]),
                         pack<T>(right[2], right[3])};
#pragma unroll
        for (int pair = 0; pair < DIM / 16; pair++) {
            unsigned b[4];
            load_matrices_turned(b, &values.values[step * 16 + lane % 16][pair * 16 + lane / 16 * 8]);
            multiply_add<T>(sums[2 * pair], a, b[0], b[1]);
            multiply_add<T>(sums[2 * pair + 1], a, b[2], b[3]);
        }
    }
}

// Masks the scores of keys from `first` on. `positions` are those of the warp's queries; `window` is 0 for none.
__device__ __forceinline__ void mask(float (&scores)[KEYS / 8][4], int first, const int* positions, int window) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < KEYS / 8; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int key = first + i * 8 + lane % 4 * 2 + j % 2, last = positions[lane / 4 + j / 2 * 8];
            bool visible = key <= last && (window <= 0 || key > last - window);
            if (!visible) scores[i][j] = -infinity();
        }
    }
}

// Turns scores into weights 2^(scale · score - most) and shrinks what was summed before to the new most. A row that sees nothing
// here keeps all its bits, whether this is called or not.
template <int DIM>
__device__ __forceinline__ void weigh(Running<DIM>& running, float (&scores)[KEYS / 8][4], float scale) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float most = -infinity();
#pragma unroll
        for (int i = 0; i < KEYS / 8; i++) most = fmaxf(most, fmaxf(scores[i][2 * half], scores[i][2 * half + 1]));
        most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 1));
        most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 2));
        most = fmaxf(running.most[half], most * scale);
        // Where nothing was seen yet, any number that is finite.
        float shift = most == -infinity() ? 0.0f : most;
        float shrink = fast_exp2(running.most[half] - shift), total = 0.0f;
        running.most[half] = most;
#pragma unroll
        for (int i = 0; i < KEYS / 8; i++) {
#pragma unroll
            for (int j = 2 * half; j < 2 * half + 2; j++) {
                scores[i][j] = fast_exp2(fmaf(scores[i][j], scale, -shift));
                total += scores[i][j];
            }
        }
        running.total[half] = fmaf(running.total[half], shrink, total);
#pragma unroll
        for (int i = 0; i < DIM / 8; i++) {
            running.sums[i][2 * half] *= shrink;
            running.sums[i][2 * half + 1] *= shrink;
        }
    }
}

// The sums over the totals, through the warp's own 16 rows of `rows`. Row i is number `number(i)` of `out`, or goes nowhere where
// that is negative.
template <typename T, int DIM, typename Number>
__device__ __forceinline__ void write_rows(Running<DIM>& running, Matrix<T, DIM>& rows, T* out, Number number) {
    constexpr int WORDS = DIM / 8;
    int lane = threadIdx.x % 32, first = threadIdx.x / 32 * 16;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float total = running.total[half];
        total += __shfl_xor_sync(ALL_LANES, total, 1);
        total += __shfl_xor_sync(ALL_LANES, total, 2);
        float inverse = 1.0f / total;
        T* row = rows.values[first + lane / 4 + half * 8];
#pragma unroll
        for (int i = 0; i < DIM / 8; i++) {
            // Adding 0 leaves no -0, whose sign could come from keys that the row does not see.
            float pair[2] = {running.sums[i][2 * half] * inverse + 0.0f, running.sums[i][2 * half + 1] * inverse + 0.0f};
            store_few<2>(row + i * 8 + lane % 4 * 2, pair);
        }
    }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 16 * WORDS / 32; i++) {
        int word = lane + i * 32, row = first + word / WORDS, column = word % WORDS * 8;
        int to = number(row);
        if (to >= 0) store_word(out + size_t(to) * DIM + column, load_word(&rows.values[row][column]));
    }
}

// One tile and key head. While the queries are multiplied by keys, the values of those are copied; while weights are multiplied by
// values, the next keys.
template <typename T, int DIM>
__device__ __forceinline__ void attend(uint4* room, int (&slots)[2][KEYS], int* positions, const T* q, const T* keys,
                                       const T* values, const int* table, Tile tile, T* out, int queries, int key_heads,
                                       int window, float scale) {
    Matrix<T, DIM>& key_part = *reinterpret_cast<Matrix<T, DIM>*>(room);
    Matrix<T, DIM>& value_part = *(&key_part + 1);
    int thread = threadIdx.x, lane = thread % 32, key_head = blockIdx.y, sharing = queries / key_heads;
    int count = tile.rows * sharing, last = tile.position + tile.rows - 1;
    int first = window > 0 ? max(0, tile.position - window + 1) : 0;
    // Where the tile's queries, and the head's keys and values, begin.
    size_t first_query = (size_t(tile.first) * queries + key_head * sharing) * DIM;
    auto query_at = [&](int row) { return row < count ? row / sharing * queries + row % sharing : -1; };
    int stride = key_heads * DIM, offset = key_head * DIM;
    auto slot_of = [&](int key) { return key <= last ? table[tile.start + key] : -1; };
    // The positions of the warp's queries.
    int warp_row = warp_of(thread) * 16;
    bool active = warp_row < count;
    int nearest = tile.position + warp_row / sharing, farthest = tile.position + (min(warp_row + 16, count) - 1) / sharing;

    int begin = first / KEYS * KEYS;
    if (thread < KEYS) {
        slots[0][thread] = begin + thread < first ? -1 : slot_of(begin + thread);
        positions[thread] = tile.position + thread / sharing;
    }
    __syncthreads();
    copy_rows(value_part, q + first_query, DIM, 0, query_at);
    commit_copies();
    copy_rows(key_part, keys, stride, offset, [&](int row) { return slots[0][row]; });
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    unsigned query[DIM / 16][4];
#pragma unroll
    for (int step = 0; step < DIM / 16; step++) {
        load_matrices(query[step], &value_part.values[warp_row + lane % 16][step * 16 + lane / 16 * 8]);
    }

    Running<DIM> running = {};
    running.most[0] = running.most[1] = -infinity();
    for (int start = begin, stage = 0; start <= last; start += KEYS, stage ^= 1) {
        bool more = start + KEYS <= last;
        // A warp none of whose queries sees any of these keys has nothing to compute.
        bool sees = active && start <= farthest && (window <= 0 || start + KEYS > nearest - window + 1);
        float scores[KEYS / 8][4];
        if (more && thread < KEYS) slots[stage ^ 1][thread] = slot_of(start + KEYS + thread);
        wait_for_copies<0>();
        // The keys are there for all, and nobody reads the last values, or the queries, any more.
        __syncthreads();
        copy_rows(value_part, values, stride, offset, [&](int row) { return slots[stage][row]; });
        commit_copies();
        if (sees) multiply_keys(scores, query, key_part);
        wait_for_copies<0>();
        // The values are there for all, and nobody reads these keys any more.
        __syncthreads();
        if (more) {
            copy_rows(key_part, keys, stride, offset, [&](int row) { return slots[stage ^ 1][row]; });
            commit_copies();
        }
        if (sees) {
            bool whole = start + KEYS - 1 <= nearest && (window <= 0 || start > farthest - window);
            if (!whole) mask(scores, start, positions + warp_row, window);
            weigh(running, scores, scale);
            add_values(running.sums, scores, value_part);
        }
    }
    if (active) write_rows(running, key_part, out + first_query, query_at);
}

// Grid (tiles, key_heads). `tiles` are four numbers each, as `Tile` has them; a tile's rows times the heads that share a key head
// are at most 64. The rest is as in `attention_plain`, for a `dim` of 64, 96 or 128.
template <typename T>
__device__ __forceinline__ void attention_prefill(const T* q, const T* keys, const T* values, const int* table,
                                                  const int* tiles, T* out, int queries, int key_heads, int dim,
                                                  int window, float scale) {
    // Shared by the widths: the compiler would add up what each of them declares.
    SHARED(uint4, room, [2 * sizeof(Matrix<T, MOST_DIM>) / sizeof(uint4)]);
    SHARED(int, slots, [2][KEYS]);
    SHARED(int, positions, [64]);
    // The last first: within a sequence those see the most keys, and a block that is long should not begin at the end.
    const int* tile = tiles + size_t(gridDim.x - 1 - blockIdx.x) * 4;
    Tile of{tile[0], tile[1], tile[2], tile[3]};
    // 2^(x · log2(e)) = e^x.
    scale *= 1.44269504f;
    if (dim == 64) {
        attend<T, 64>(room, slots, positions, q, keys, values, table, of, out, queries, key_heads, window, scale);
    } else if (dim == 96) {
        attend<T, 96>(room, slots, positions, q, keys, values, table, of, out, queries, key_heads, window, scale);
    } else if (dim == 128) {
        attend<T, 128>(room, slots, positions, q, keys, values, table, of, out, queries, key_heads, window, scale);
    }
}

#define PARAMETERS(T)                                                                                           \
    (const T* __restrict__ q, const T* __restrict__ keys, const T* __restrict__ values, const int* __restrict__ table, \
     const int* __restrict__ tiles, T* __restrict__ out, int queries, int key_heads, int dim, int window, float scale)
HALF_INSTANCES(attention_prefill, (PREFILL_THREADS, PREFILL_BLOCKS), PARAMETERS,
               (q, keys, values, table, tiles, out, queries, key_heads, dim, window, scale))
#undef PARAMETERS
