// Sumcheck over Fr on the device: round polynomials of a product of tables, and the fold between rounds.
//
// A table of length 2 h is a multilinear polynomial, index bit i <-> variable i; a round binds the HIGHEST variable,
// so entry i pairs with entry i + h and the pair is the line t[i] + X (t[i+h] - t[i]). The round polynomial is
// sum_{i<h} prod over tables of their lines, handed back as coefficients, constant term first.
//
// Every body is a function of (thread index, number of threads or length). Kernels that synchronise are cut into
// phases at their barriers, so that a host build runs each phase for all threads in turn.
#include "field.cuh"

namespace zkdl {

constexpr u32 ROUND_THREADS = 128;  // a power of two: the tree in `tree_phase` halves it

// ---- bodies ----------------------------------------------------------------------------------------------------

// t[i] <- t[i] + r (t[i+h] - t[i]) for i < h, in place: thread i alone touches i and i + h.
ZKDL_FN void fold_body(Fr* t, const Fr& r, u64 half, u64 i) {
    if (i >= half) return;
    const Fr low = load(t + i);
    t[i] = add(low, mul(r, sub(load(t + i + half), low)));
}

// A round is summed as values at points (cheaper than coefficients) and turned into coefficients once, at the end.

// f g: values at 0, 1 and infinity (the coefficient of X^2).
struct Quadratic {
    static constexpr int sums = 3;

    ZKDL_FN static void accumulate(Fr* s, const Fr* const* t, u64 half, u64 i) {
        const Fr f0 = load(t[0] + i), f1 = load(t[0] + i + half);
        const Fr g0 = load(t[1] + i), g1 = load(t[1] + i + half);
        s[0] = add(s[0], mul(f0, g0));
        s[1] = add(s[1], mul(f1, g1));
        s[2] = add(s[2], mul(sub(f1, f0), sub(g1, g0)));
    }

    ZKDL_FN static void finish(Fr* s) {
        s[1] = sub(s[1], add(s[0], s[2]));
    }
};

// e f g: values at 0, 1, -1 and infinity (the coefficient of X^3).
struct Cubic {
    static constexpr int sums = 4;

    ZKDL_FN static void accumulate(Fr* s, const Fr* const* t, u64 half, u64 i) {
        const Fr e0 = load(t[0] + i), e1 = load(t[0] + i + half);
        const Fr f0 = load(t[1] + i), f1 = load(t[1] + i + half);
        const Fr g0 = load(t[2] + i), g1 = load(t[2] + i + half);
        const Fr de = sub(e1, e0), df = sub(f1, f0), dg = sub(g1, g0);
        s[0] = add(s[0], mul(mul(e0, f0), g0));
        s[1] = add(s[1], mul(mul(e1, f1), g1));
        s[2] = add(s[2], mul(mul(sub(e0, de), sub(f0, df)), sub(g0, dg)));
        s[3] = add(s[3], mul(mul(de, df), dg));
    }

    // c0 + c1 + c2 + c3 = s1 and c0 - c1 + c2 - c3 = s2, with c0 = s0 and c3 = s3 known.
    ZKDL_FN static void finish(Fr* s) {
        const Fr even = halve(add(s[1], s[2])), odd = halve(sub(s[1], s[2]));
        s[1] = sub(odd, s[3]);
        s[2] = sub(even, s[0]);
    }
};

// Phase 1 of a round: thread `thread` of `threads` sums the entries thread, thread + threads, ... into its slot.
template <class Round>
ZKDL_FN void gather_phase(Fr* slot, const Fr* const* tables, u64 half, u64 thread, u64 threads) {
    Fr s[Round::sums];
    ZKDL_UNROLL
    for (int j = 0; j < Round::sums; j++) s[j] = zero<ModulusFr>();
    for (u64 i = thread; i < half; i += threads) Round::accumulate(s, tables, half, i);
    ZKDL_UNROLL
    for (int j = 0; j < Round::sums; j++) slot[j] = s[j];
}

// Phase 1 of the closing reduction: the same, over what the blocks left behind.
template <class Round>
ZKDL_FN void collect_phase(Fr* slot, const Fr* partials, u32 blocks, u32 thread) {
    Fr s[Round::sums];
    ZKDL_UNROLL
    for (int j = 0; j < Round::sums; j++) s[j] = zero<ModulusFr>();
    for (u32 b = thread; b < blocks; b += ROUND_THREADS) {
        ZKDL_UNROLL
        for (int j = 0; j < Round::sums; j++) s[j] = add(s[j], load(partials + (u64)b * Round::sums + j));
    }
    ZKDL_UNROLL
    for (int j = 0; j < Round::sums; j++) slot[j] = s[j];
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
ZKDL_FN void round_kernel(const Fr* const* tables, u64 half, Fr* partials) {
    __shared__ Fr slots[ROUND_THREADS * Round::sums];
    const u64 thread = (u64)blockIdx.x * ROUND_THREADS + threadIdx.x;
    gather_phase<Round>(slots + threadIdx.x * Round::sums, tables, half, thread, (u64)gridDim.x * ROUND_THREADS);
    block_tree<Round>(slots);
    if (threadIdx.x == 0) {
        for (int j = 0; j < Round::sums; j++) partials[(u64)blockIdx.x * Round::sums + j] = slots[j];
    }
}

template <class Round>
ZKDL_FN void finish_kernel(const Fr* partials, u32 blocks, Fr* coefficients) {
    __shared__ Fr slots[ROUND_THREADS * Round::sums];
    collect_phase<Round>(slots + threadIdx.x * Round::sums, partials, blocks, threadIdx.x);
    block_tree<Round>(slots);
    if (threadIdx.x == 0) {
        Round::finish(slots);
        for (int j = 0; j < Round::sums; j++) coefficients[j] = slots[j];
    }
}

}  // namespace zkdl

// Any grid that covers `half` threads.
extern "C" __global__ void fold_high(zkdl::Fr* t, const zkdl::Fr* r, zkdl::u64 half) {
    zkdl::fold_body(t, zkdl::load(r), half, (zkdl::u64)blockIdx.x * blockDim.x + threadIdx.x);
}

// Launch with ROUND_THREADS threads a block and any number of blocks; then the matching finish with ONE block.
extern "C" __global__ void __launch_bounds__(zkdl::ROUND_THREADS)
    round_quadratic(const zkdl::Fr* f, const zkdl::Fr* g, zkdl::u64 half, zkdl::Fr* partials) {
    const zkdl::Fr* const tables[] = {f, g};
    zkdl::round_kernel<zkdl::Quadratic>(tables, half, partials);
}
extern "C" __global__ void __launch_bounds__(zkdl::ROUND_THREADS)
    finish_quadratic(const zkdl::Fr* partials, zkdl::u32 blocks, zkdl::Fr* coefficients) {
    zkdl::finish_kernel<zkdl::Quadratic>(partials, blocks, coefficients);
}
extern "C" __global__ void __launch_bounds__(zkdl::ROUND_THREADS)
    round_cubic(const zkdl::Fr* e, const zkdl::Fr* f, const zkdl::Fr* g, zkdl::u64 half, zkdl::Fr* partials) {
    const zkdl::Fr* const tables[] = {e, f, g};
    zkdl::round_kernel<zkdl::Cubic>(tables, half, partials);
}
extern "C" __global__ void __launch_bounds__(zkdl::ROUND_THREADS)
    finish_cubic(const zkdl::Fr* partials, zkdl::u32 blocks, zkdl::Fr* coefficients) {
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

template <class Round>
void host_round(const Fr* const* tables, u64 half, u32 blocks, Fr* partials, Fr* coefficients) {
    Fr slots[ROUND_THREADS * Round::sums];
    for (u32 block = 0; block < blocks; block++) {
        for (u32 thread = 0; thread < ROUND_THREADS; thread++)
            gather_phase<Round>(slots + thread * Round::sums, tables, half, (u64)block * ROUND_THREADS + thread,
                                (u64)blocks * ROUND_THREADS);
        host_tree<Round>(slots);
        for (int j = 0; j < Round::sums; j++) partials[(u64)block * Round::sums + j] = slots[j];
    }
    for (u32 thread = 0; thread < ROUND_THREADS; thread++)
        collect_phase<Round>(slots + thread * Round::sums, partials, blocks, thread);
    host_tree<Round>(slots);
    Round::finish(slots);
    for (int j = 0; j < Round::sums; j++) coefficients[j] = slots[j];
}

}  // namespace zkdl

extern "C" void host_fold_high(zkdl::Fr* t, const zkdl::Fr* r, zkdl::u64 half) {
    for (zkdl::u64 i = 0; i < half; i++) zkdl::fold_body(t, zkdl::load(r), half, i);
}
extern "C" void host_round_quadratic(const zkdl::Fr* f, const zkdl::Fr* g, zkdl::u64 half, zkdl::u32 blocks,
                                     zkdl::Fr* partials, zkdl::Fr* coefficients) {
    const zkdl::Fr* const tables[] = {f, g};
    zkdl::host_round<zkdl::Quadratic>(tables, half, blocks, partials, coefficients);
}
extern "C" void host_round_cubic(const zkdl::Fr* e, const zkdl::Fr* f, const zkdl::Fr* g, zkdl::u64 half,
                                 zkdl::u32 blocks, zkdl::Fr* partials, zkdl::Fr* coefficients) {
    const zkdl::Fr* const tables[] = {e, f, g};
    zkdl::host_round<zkdl::Cubic>(tables, half, blocks, partials, coefficients);
}

#endif
