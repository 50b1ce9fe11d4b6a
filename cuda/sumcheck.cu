// Sumcheck over Fr on the device: round polynomials of a product of tables, and the fold between rounds.
//
// A table of length 2 h is a multilinear polynomial, index bit i <-> variable i; a round binds the HIGHEST variable,
// so entry i pairs with entry i + h and the pair is the line t[i] + X (t[i+h] - t[i]). The round polynomial is
// sum_{i<h} prod over tables of their lines, handed back as coefficients, constant term first.
//
// From the second round on, fold and round run fused: one pass over memory instead of two.
//
// Every body is a function of (thread index, number of threads or length). Kernels that synchronise are cut into
// phases at their barriers, so that a host build runs each phase for all threads in turn.
#include "field.cuh"

namespace zkdl {

constexpr u32 ROUND_THREADS = 128;  // a power of two: the tree in `tree_phase` halves it

// ---- bodies ----------------------------------------------------------------------------------------------------

// low + r (high - low): the line of a pair at r.
ZKDL_FN Fr line_at(const Fr& low, const Fr& high, const Fr& r) {
    return add(low, mul(r, sub(high, low)));
}

// t[i] <- t[i] + r (t[i+h] - t[i]) for i < h, in place: thread i alone touches i and i + h.
ZKDL_FN void fold_body(Fr* t, const Fr& r, u64 half, u64 i) {
    if (i < half) t[i] = line_at(load(t + i), load(t + i + half), r);
}

// A round is summed as values at points (cheaper than coefficients) and turned into coefficients once, at the end.
// `low[j]` and `high[j]` are the pair of table j, that is its line at 0 and at 1.

// f g: values at 0, 1 and infinity (the coefficient of X^2).
struct Quadratic {
    static constexpr int factors = 2, sums = 3;

    ZKDL_FN static void accumulate(Fr* s, const Fr* low, const Fr* high) {
        s[0] = add(s[0], mul(low[0], low[1]));
        s[1] = add(s[1], mul(high[0], high[1]));
        s[2] = add(s[2], mul(sub(high[0], low[0]), sub(high[1], low[1])));
    }

    ZKDL_FN static void finish(Fr* s) {
        s[1] = sub(s[1], add(s[0], s[2]));
    }
};

// e f g: values at 0, 1, -1 and infinity (the coefficient of X^3).
struct Cubic {
    static constexpr int factors = 3, sums = 4;

    ZKDL_FN static void accumulate(Fr* s, const Fr* low, const Fr* high) {
        const Fr de = sub(high[0], low[0]), df = sub(high[1], low[1]), dg = sub(high[2], low[2]);
        s[0] = add(s[0], mul(mul(low[0], low[1]), low[2]));
        s[1] = add(s[1], mul(mul(high[0], high[1]), high[2]));
        s[2] = add(s[2], mul(mul(sub(low[0], de), sub(low[1], df)), sub(low[2], dg)));
        s[3] = add(s[3], mul(mul(de, df), dg));
    }

    // c0 + c1 + c2 + c3 = s1 and c0 - c1 + c2 - c3 = s2, with c0 = s0 and c3 = s3 known.
    ZKDL_FN static void finish(Fr* s) {
        const Fr even = halve(add(s[1], s[2])), odd = halve(sub(s[1], s[2]));
        s[1] = sub(odd, s[3]);
        s[2] = sub(even, s[0]);
    }
};

template <class Round>
ZKDL_FN void clear(Fr* s) {
    ZKDL_UNROLL
    for (int j = 0; j < Round::sums; j++) s[j] = zero<ModulusFr>();
}

template <class Round>
ZKDL_FN void copy_sums(Fr* to, const Fr* from) {
    ZKDL_UNROLL
    for (int j = 0; j < Round::sums; j++) to[j] = from[j];
}

// Phase 1 of a round: thread `thread` of `threads` sums the pairs thread, thread + threads, ... into its slot.
template <class Round>
ZKDL_FN void gather_phase(Fr* slot, const Fr* const* tables, u64 half, u64 thread, u64 threads) {
    Fr s[Round::sums];
    clear<Round>(s);
    for (u64 i = thread; i < half; i += threads) {
        Fr low[Round::factors], high[Round::factors];
        ZKDL_UNROLL
        for (int j = 0; j < Round::factors; j++) {
            low[j] = load(tables[j] + i);
            high[j] = load(tables[j] + i + half);
        }
        Round::accumulate(s, low, high);
    }
    copy_sums<Round>(slot, s);
}

// Phase 1 of a fused round: tables of length 4 h are folded by r to length 2 h, in place, and the round polynomial
// of the folded tables is summed on the way. Thread i alone touches i, i + h, i + 2 h and i + 3 h.
template <class Round>
ZKDL_FN void fold_gather_phase(Fr* slot, Fr* const* tables, const Fr& r, u64 half, u64 thread, u64 threads) {
    Fr s[Round::sums];
    clear<Round>(s);
    for (u64 i = thread; i < half; i += threads) {
        Fr low[Round::factors], high[Round::factors];
        ZKDL_UNROLL
        for (int j = 0; j < Round::factors; j++) {
            Fr* t = tables[j] + i;
            low[j] = line_at(load(t), load(t + 2 * half), r);
            high[j] = line_at(load(t + half), load(t + 3 * half), r);
            t[0] = low[j];
            t[half] = high[j];
        }
        Round::accumulate(s, low, high);
    }
    copy_sums<Round>(slot, s);
}

// Phase 1 of the closing reduction: the same, over what the blocks left behind.
template <class Round>
ZKDL_FN void collect_phase(Fr* slot, const Fr* partials, u32 blocks, u32 thread) {
    Fr s[Round::sums];
    clear<Round>(s);
    for (u32 b = thread; b < blocks; b += ROUND_THREADS) {
        ZKDL_UNROLL
        for (int j = 0; j < Round::sums; j++) s[j] = add(s[j], load(partials + (u64)b * Round::sums + j));
    }
    copy_sums<Round>(slot, s);
}

// Phase 2, once for each stride ROUND_THREADS/2, ..., 2, 1 with a barrier before each.
template <class Round>
ZKDL_FN void tree_phase(Fr* slots, u32 thread, u32 stride) {
    if (thread < stride) {
        ZKDL_UNROLL
        for (int j = 0; j < Round::sums; j++) {
            Fr* mine = slots + thread * Round::sums + j;
            *mine = add(load(mine), load(slots + (thread + stride) * Round::sums + j));
        }
    }
}

}  // namespace zkdl

#if defined(__CUDACC__)

// ---- device entries --------------------------------------------------------------------------------------------

namespace zkdl {

template <class Round>
ZKDL_FN void block_tree(Fr* slots) {
    for (u32 stride = ROUND_THREADS / 2; stride > 0; stride /= 2) {
        __syncthreads();
        tree_phase<Round>(slots, threadIdx.x, stride);
    }
}

// Leaves Round::sums elements a block in `partials`; slot 0 is thread 0's own, so the last step needs no barrier.
template <class Round>
ZKDL_FN void close_block(Fr* slots, Fr* partials) {
    block_tree<Round>(slots);
    if (threadIdx.x == 0) copy_sums<Round>(partials + (u64)blockIdx.x * Round::sums, slots);
}

template <class Round>
ZKDL_FN void round_kernel(const Fr* const* tables, u64 half, Fr* partials) {
    __shared__ Fr slots[ROUND_THREADS * Round::sums];
    const u64 thread = (u64)blockIdx.x * ROUND_THREADS + threadIdx.x;
    gather_phase<Round>(slots + threadIdx.x * Round::sums, tables, half, thread, (u64)gridDim.x * ROUND_THREADS);
    close_block<Round>(slots, partials);
}

template <class Round>
ZKDL_FN void fold_round_kernel(Fr* const* tables, const Fr* r, u64 half, Fr* partials) {
    __shared__ Fr slots[ROUND_THREADS * Round::sums];
    const u64 thread = (u64)blockIdx.x * ROUND_THREADS + threadIdx.x;
    fold_gather_phase<Round>(slots + threadIdx.x * Round::sums, tables, load(r), half, thread,
                             (u64)gridDim.x * ROUND_THREADS);
    close_block<Round>(slots, partials);
}

template <class Round>
ZKDL_FN void finish_kernel(const Fr* partials, u32 blocks, Fr* coefficients) {
    __shared__ Fr slots[ROUND_THREADS * Round::sums];
    collect_phase<Round>(slots + threadIdx.x * Round::sums, partials, blocks, threadIdx.x);
    block_tree<Round>(slots);
    if (threadIdx.x == 0) {
        Round::finish(slots);
        copy_sums<Round>(coefficients, slots);
    }
}

}  // namespace zkdl

// Any grid that covers `half` threads.
extern "C" __global__ void fold_high(zkdl::Fr* t, const zkdl::Fr* r, zkdl::u64 half) {
    zkdl::fold_body(t, zkdl::load(r), half, (zkdl::u64)blockIdx.x * blockDim.x + threadIdx.x);
}

// Launch rounds with ROUND_THREADS threads a block and any number of blocks; then the matching finish, ONE block.
#define ZKDL_ROUND_ENTRY extern "C" __global__ void __launch_bounds__(zkdl::ROUND_THREADS)

ZKDL_ROUND_ENTRY round_quadratic(const zkdl::Fr* f, const zkdl::Fr* g, zkdl::u64 half, zkdl::Fr* partials) {
    const zkdl::Fr* const tables[] = {f, g};
    zkdl::round_kernel<zkdl::Quadratic>(tables, half, partials);
}
ZKDL_ROUND_ENTRY fold_round_quadratic(zkdl::Fr* f, zkdl::Fr* g, const zkdl::Fr* r, zkdl::u64 half,
                                      zkdl::Fr* partials) {
    zkdl::Fr* const tables[] = {f, g};
    zkdl::fold_round_kernel<zkdl::Quadratic>(tables, r, half, partials);
}
ZKDL_ROUND_ENTRY finish_quadratic(const zkdl::Fr* partials, zkdl::u32 blocks, zkdl::Fr* coefficients) {
    zkdl::finish_kernel<zkdl::Quadratic>(partials, blocks, coefficients);
}
ZKDL_ROUND_ENTRY round_cubic(const zkdl::Fr* e, const zkdl::Fr* f, const zkdl::Fr* g, zkdl::u64 half,
                             zkdl::Fr* partials) {
    const zkdl::Fr* const tables[] = {e, f, g};
    zkdl::round_kernel<zkdl::Cubic>(tables, half, partials);
}
ZKDL_ROUND_ENTRY fold_round_cubic(zkdl::Fr* e, zkdl::Fr* f, zkdl::Fr* g, const zkdl::Fr* r, zkdl::u64 half,
                                  zkdl::Fr* partials) {
    zkdl::Fr* const tables[] = {e, f, g};
    zkdl::fold_round_kernel<zkdl::Cubic>(tables, r, half, partials);
}
ZKDL_ROUND_ENTRY finish_cubic(const zkdl::Fr* partials, zkdl::u32 blocks, zkdl::Fr* coefficients) {
    zkdl::finish_kernel<zkdl::Cubic>(partials, blocks, coefficients);
}

#else

// ---- host entries: the same phases, looped over ------------------------------------------------------------------

namespace zkdl {

template <class Round>
void host_tree(Fr* slots) {
    for (u32 stride = ROUND_THREADS / 2; stride > 0; stride /= 2)
        for (u32 thread = 0; thread < stride; thread++) tree_phase<Round>(slots, thread, stride);
}

// One round: `gather(slot, thread, threads)` is its first phase.
template <class Round, class Gather>
void host_round(Gather gather, u32 blocks, Fr* partials, Fr* coefficients) {
    Fr slots[ROUND_THREADS * Round::sums];
    const u64 threads = (u64)blocks * ROUND_THREADS;
    for (u32 block = 0; block < blocks; block++) {
        for (u32 thread = 0; thread < ROUND_THREADS; thread++)
            gather(slots + thread * Round::sums, (u64)block * ROUND_THREADS + thread, threads);
        host_tree<Round>(slots);
        copy_sums<Round>(partials + (u64)block * Round::sums, slots);
    }
    for (u32 thread = 0; thread < ROUND_THREADS; thread++)
        collect_phase<Round>(slots + thread * Round::sums, partials, blocks, thread);
    host_tree<Round>(slots);
    Round::finish(slots);
    copy_sums<Round>(coefficients, slots);
}

template <class Round>
void host_plain(const Fr* const* tables, u64 half, u32 blocks, Fr* partials, Fr* coefficients) {
    auto gather = [=](Fr* slot, u64 thread, u64 threads) {
        gather_phase<Round>(slot, tables, half, thread, threads);
    };
    host_round<Round>(gather, blocks, partials, coefficients);
}

template <class Round>
void host_fused(Fr* const* tables, const Fr* r, u64 half, u32 blocks, Fr* partials, Fr* coefficients) {
    auto gather = [=](Fr* slot, u64 thread, u64 threads) {
        fold_gather_phase<Round>(slot, tables, load(r), half, thread, threads);
    };
    host_round<Round>(gather, blocks, partials, coefficients);
}

}  // namespace zkdl

using zkdl::Fr;
using zkdl::u32;
using zkdl::u64;

extern "C" void host_fold_high(Fr* t, const Fr* r, u64 half) {
    for (u64 i = 0; i < half; i++) zkdl::fold_body(t, zkdl::load(r), half, i);
}
extern "C" void host_round_quadratic(const Fr* f, const Fr* g, u64 half, u32 blocks, Fr* partials, Fr* out) {
    const Fr* const tables[] = {f, g};
    zkdl::host_plain<zkdl::Quadratic>(tables, half, blocks, partials, out);
}
extern "C" void host_round_cubic(const Fr* e, const Fr* f, const Fr* g, u64 half, u32 blocks, Fr* partials, Fr* out) {
    const Fr* const tables[] = {e, f, g};
    zkdl::host_plain<zkdl::Cubic>(tables, half, blocks, partials, out);
}
extern "C" void host_fold_round_quadratic(Fr* f, Fr* g, const Fr* r, u64 half, u32 blocks, Fr* partials, Fr* out) {
    Fr* const tables[] = {f, g};
    zkdl::host_fused<zkdl::Quadratic>(tables, r, half, blocks, partials, out);
}
extern "C" void host_fold_round_cubic(Fr* e, Fr* f, Fr* g, const Fr* r, u64 half, u32 blocks, Fr* partials, Fr* out) {
    Fr* const tables[] = {e, f, g};
    zkdl::host_fused<zkdl::Cubic>(tables, r, half, blocks, partials, out);
}

#endif
