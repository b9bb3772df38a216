// Attention of whole sequences on tensor cores, for bf16: the forward pass of FlashAttention-2 (arXiv 2307.08691) over rows that
// may be of many documents. Shapes are as in attention_train.cu, for a `dim` of 64, 96 or 128.
#include "tiles.cuh"

// Keys that are taken together, counted from row 0, and queries of a block, 32 of them a warp's: a key that is read is
// multiplied by two groups of 16, since reading shared memory is what bounds the speed. More keys would not fit into registers.
constexpr int KEYS = 32;
constexpr int QUERIES = 128;
constexpr int TALL = 2;
constexpr int MMA_THREADS = QUERIES / TALL * 2;
static_assert(MMA_THREADS == QUERIES, "a thread finds what one row sees");

// What a warp keeps of its queries.
template <int DIM>
struct Running {
    // Sums of values, by weights 2^(score - most).
    float sums[TALL][DIM / 8][4];
    // Of a lane's rows; the total is the lane's share of it.
    float most[TALL][2], total[TALL][2];
};

// Turns scores into weights 2^(scale · score - most) and shrinks what was summed before to the new most. A row that sees nothing
// here keeps all its bits, whether this is called or not.
template <int DIM>
__device__ __forceinline__ void weigh(Running<DIM>& running, float (&scores)[TALL][KEYS / 8][4], float scale) {
#pragma unroll
    for (int t = 0; t < TALL; t++) {
        float shrink[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float most = -infinity();
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++) {
                most = fmaxf(most, fmaxf(scores[t][i][2 * half], scores[t][i][2 * half + 1]));
            }
            most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 1));
            most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 2));
            most = fmaxf(running.most[t][half], most * scale);
            // Where nothing was seen yet, any number that is finite.
            float shift = most == -infinity() ? 0.0f : most, total = 0.0f;
            shrink[half] = fast_exp2(running.most[t][half] - shift);
            running.most[t][half] = most;
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++) {
#pragma unroll
                for (int j = 2 * half; j < 2 * half + 2; j++) {
                    scores[t][i][j] = fast_exp2(fmaf(scores[t][i][j], scale, -shift));
                    total += scores[t][i][j];
                }
            }
            running.total[t][half] = fmaf(running.total[t][half], shrink[half], total);
        }
        // Most keys after the first are not the largest.
        if (!__any_sync(ALL_LANES, shrink[0] != 1.0f || shrink[1] != 1.0f)) continue;
#pragma unroll
        for (int i = 0; i < DIM / 8; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) running.sums[t][i][j] *= shrink[j / 2];
        }
    }
}

// The block's queries, of which `count` from row `begin` on are there, of head blockIdx.x.
struct Block {
    int begin, count, queries, key_heads, window;
};

// While keys and values are multiplied, the next ones are copied.
template <typename T, int DIM>
__device__ __forceinline__ void attend(unsigned char* room, int (&firsts)[QUERIES], const T* q, const T* k, const T* v,
                                       const int* starts, T* out, float* lse, Block block, float scale) {
    Tile<T, DIM, QUERIES>& query_part = *reinterpret_cast<Tile<T, DIM, QUERIES>*>(room);
    // Two stages each.
    Tile<T, DIM, KEYS>* key_parts = reinterpret_cast<Tile<T, DIM, KEYS>*>(&query_part + 1);
    Tile<T, DIM, KEYS>* value_parts = key_parts + 2;
    int thread = threadIdx.x, head = blockIdx.x, last = block.begin + block.count - 1;
    int stride = block.queries * DIM, key_stride = block.key_heads * DIM;
    size_t query_at = (size_t(block.begin) * block.queries + head) * DIM;
    auto copy_keys = [&](int start, int stage) {
        size_t at = size_t(start) * key_stride + head / (block.queries / block.key_heads) * DIM;
        copy_tile<MMA_THREADS>(key_parts[stage], k + at, key_stride, last + 1 - start);
        copy_tile<MMA_THREADS>(value_parts[stage], v + at, key_stride, last + 1 - start);
        commit_copies();
    };
    // The warp's queries.
    int warp_row = warp_of(thread) * 16 * TALL, end_row = min(warp_row + 16 * TALL, block.count);
    bool active = warp_row < block.count;
    firsts[thread] = first_seen(starts, min(block.begin + thread, last), block.window);

    int begin = first_seen(starts, block.begin, block.window) / KEYS * KEYS;
    copy_tile<MMA_THREADS>(query_part, q + query_at, stride, block.count);
    copy_keys(begin, 0);
    Running<DIM> running = {};
#pragma unroll
    for (int t = 0; t < TALL; t++) running.most[t][0] = running.most[t][1] = -infinity();
    for (int start = begin, stage = 0; start <= last; start += KEYS, stage ^= 1) {
        wait_for_copies<0>();
        // These are there for all, and nobody reads the last ones any more.
        __syncthreads();
        if (start + KEYS <= last) copy_keys(start + KEYS, stage ^ 1);
        // A warp none of whose queries sees any of these keys has nothing to compute.
        if (!active || start >= block.begin + end_row || start + KEYS <= firsts[warp_row]) continue;
        float scores[TALL][KEYS / 8][4];
        auto left = [&](int step, unsigned(&a)[TALL][4]) { load_left(a, query_part, warp_row, step); };
        multiply_turned(scores, left, key_parts[stage]);
        bool whole = start + KEYS <= block.begin + warp_row + 1 && start >= firsts[end_row - 1];
        if (!whole) mask(scores, start, block.begin + warp_row, firsts + warp_row);
        weigh(running, scores, scale);
        multiply_rows(running.sums, scores, value_parts[stage]);
    }
    if (!active) return;
    float factors[TALL][2];
#pragma unroll
    for (int t = 0; t < TALL; t++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float total = running.total[t][half];
            total += __shfl_xor_sync(ALL_LANES, total, 1);
            total += __shfl_xor_sync(ALL_LANES, total, 2);
            factors[t][half] = 1.0f / total;
            int row = warp_row + t * 16 + thread % 32 / 4 + half * 8;
            if (thread % 4 == 0 && row < block.count) {
                // log(2^most · total); the natural logarithm of 2 is 0.693….
                lse[size_t(block.begin + row) * block.queries + head] = fmaf(running.most[t][half], 0.693147181f, logf(total));
            }
        }
    }
    write_rows(running.sums, factors, query_part, warp_row, out + query_at, stride, block.count);
}

// Grid (queries, tiles of 128 rows).
template <typename T>
__device__ __forceinline__ void attention_train_mma(const T* q, const T* k, const T* v, const int* starts, T* out, float* lse,
                                                    int rows, int queries, int key_heads, int dim, int window, float scale) {
    // 256 rows of 136 values at most: queries, keys and values.
    DYNAMIC_SHARED(room);
    SHARED(int, firsts, [QUERIES]);
    // The last first: within a document those see the most keys, and a block that is long should not begin at the end.
    int begin = int(gridDim.y - 1 - blockIdx.y) * QUERIES;
    Block block{begin, min(QUERIES, rows - begin), queries, key_heads, window};
    // 2^(x · log2(e)) = e^x.
    scale *= 1.44269504f;
    if (dim == 64) {
        attend<T, 64>(room, firsts, q, k, v, starts, out, lse, block, scale);
    } else if (dim == 96) {
        attend<T, 96>(room, firsts, q, k, v, starts, out, lse, block, scale);
    } else if (dim == 128) {
        attend<T, 128>(room, firsts, q, k, v, starts, out, lse, block, scale);
    }
}

#define PARAMETERS(T)                                                                                              \
    (const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const int* __restrict__ starts,  \
     T* __restrict__ out, float* __restrict__ lse, int rows, int queries, int key_heads, int dim, int window, float scale)
INSTANCE(attention_train_mma, bf16, bf16, (MMA_THREADS, 2), PARAMETERS,
         (q, k, v, starts, out, lse, rows, queries, key_heads, dim, window, scale))
#undef PARAMETERS
