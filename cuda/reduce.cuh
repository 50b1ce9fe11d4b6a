// Sums of several elements over all threads of a grid: a slot a thread, a tree a block, one closing block.
#pragma once
#include "inverse.cuh"
#include "launch.cuh"

namespace zkdl {

template <int SUMS>
struct Slots {
    Fr sum[BLOCK * SUMS];
};

constexpr u32 TREE_STEPS = 7;  // 2^7 = BLOCK
constexpr u32 SUM_PHASES = TREE_STEPS + 2;

template <int SUMS>
ZKDL_FN void copy_sums(Fr* to, const Fr* from) {
    ZKDL_UNROLL
    for (int j = 0; j < SUMS; j++) store(to + j, load(from + j));
}

// The tree in phases 1 to TREE_STEPS; afterwards slot 0 holds the block's sums.
template <int SUMS>
ZKDL_FN void tree_phase(Slots<SUMS>& slots, u32 lane, u32 phase) {
    const u32 stride = BLOCK >> phase;
    if (lane >= stride) return;
    ZKDL_UNROLL
    for (int j = 0; j < SUMS; j++) {
        Fr* mine = slots.sum + lane * SUMS + j;
        store(mine, add(load(mine), load(slots.sum + (lane + stride) * SUMS + j)));
    }
}

// Leaves SUMS elements a block in `partials`; gather(s) fills this thread's sums.
template <int SUMS, class Gather>
ZKDL_FN void sum_phase(const Place& at, u32 phase, Slots<SUMS>& slots, Fr* partials, const Gather& gather) {
    if (phase == 0) {
        Fr s[SUMS];
        ZKDL_UNROLL
        for (int j = 0; j < SUMS; j++) s[j] = zero<ModulusFr>();
        gather(s);
        copy_sums<SUMS>(slots.sum + at.lane * SUMS, s);
    } else if (phase <= TREE_STEPS) {
        tree_phase(slots, at.lane, phase);
    } else if (at.lane == 0) {
        copy_sums<SUMS>(partials + (u64)at.block * SUMS, slots.sum);
    }
}

// One block: the same over what the blocks left behind; finish(s) turns sums into results.
template <int SUMS, class Finish>
ZKDL_FN void finish_phase(const Place& at, u32 phase, Slots<SUMS>& slots, const Fr* partials, u32 blocks, Fr* out,
                          const Finish& finish) {
    if (phase == 0) {
        Fr s[SUMS];
        ZKDL_UNROLL
        for (int j = 0; j < SUMS; j++) s[j] = zero<ModulusFr>();
        for (u32 b = at.lane; b < blocks; b += BLOCK) {
            ZKDL_UNROLL
            for (int j = 0; j < SUMS; j++) s[j] = add(s[j], load(partials + (u64)b * SUMS + j));
        }
        copy_sums<SUMS>(slots.sum + at.lane * SUMS, s);
    } else if (phase <= TREE_STEPS) {
        tree_phase(slots, at.lane, phase);
    } else if (at.lane == 0) {
        Fr s[SUMS];
        ZKDL_UNROLL
        for (int j = 0; j < SUMS; j++) s[j] = load(slots.sum + j);
        finish(s);
        copy_sums<SUMS>(out, s);
    }
}

}  // namespace zkdl
