// How kernels are written once and run twice: by a grid on the device, by loops on the host.
//
// A kernel's body is a function of a Place (which thread, how many). ZKDL_KERNEL makes from it the device entry
// `name(arguments)` and the host twin `host_name(blocks, arguments)`, which runs the body for every thread in turn.
// A body that synchronises is cut at its barriers into phases, ZKDL_PHASED: the device puts a barrier between two
// phases, the host runs each phase for all threads of a block before the next. What outlives a phase is in `shared`.
//
// Every kernel runs with BLOCK threads a block and steps over its data by the size of the grid, so that any number
// of blocks gives the same result. Nothing rests on threads of a warp being in step.
#pragma once
#include "field.cuh"

namespace zkdl {

constexpr u32 BLOCK = 128;  // a power of two: sums over a block halve it

struct Place {
    u32 lane, block, blocks;
    ZKDL_FN u64 thread() const { return (u64)block * BLOCK + lane; }
    ZKDL_FN u64 threads() const { return (u64)blocks * BLOCK; }
};

}  // namespace zkdl

#define ZKDL_LIST(...) __VA_ARGS__

#if defined(__CUDACC__)

namespace zkdl {
ZKDL_FN Place here() { return Place{threadIdx.x, blockIdx.x, gridDim.x}; }
ZKDL_FN u32 fetch_add(u32* counter, u32 by) { return atomicAdd(counter, by); }
}  // namespace zkdl

// `resident` is how many blocks the compiler must leave room for on one multiprocessor: it caps the registers.
#define ZKDL_KERNEL(name, resident, parameters, ...)                                              \
    extern "C" __global__ void __launch_bounds__(zkdl::BLOCK, resident) name parameters {         \
        const zkdl::Place at = zkdl::here();                                                      \
        __VA_ARGS__;                                                                              \
    }
#define ZKDL_PHASED(name, resident, Shared, phases, parameters, ...)                              \
    extern "C" __global__ void __launch_bounds__(zkdl::BLOCK, resident) name parameters {         \
        __shared__ Shared shared;                                                                 \
        const zkdl::Place at = zkdl::here();                                                      \
        for (zkdl::u32 phase = 0; phase < (phases); phase++) {                                    \
            if (phase > 0) __syncthreads();                                                       \
            __VA_ARGS__;                                                                          \
        }                                                                                         \
    }

#else

namespace zkdl {
inline u32 fetch_add(u32* counter, u32 by) {
    const u32 before = *counter;
    *counter = before + by;
    return before;
}
}  // namespace zkdl

#define ZKDL_KERNEL(name, resident, parameters, ...)                                              \
    extern "C" void host_##name(zkdl::u32 blocks, ZKDL_LIST parameters) {                         \
        for (zkdl::u32 block = 0; block < blocks; block++)                                        \
            for (zkdl::u32 lane = 0; lane < zkdl::BLOCK; lane++) {                                \
                const zkdl::Place at{lane, block, blocks};                                        \
                __VA_ARGS__;                                                                      \
            }                                                                                     \
    }
#define ZKDL_PHASED(name, resident, Shared, phases, parameters, ...)                              \
    extern "C" void host_##name(zkdl::u32 blocks, ZKDL_LIST parameters) {                         \
        Shared shared;                                                                            \
        for (zkdl::u32 block = 0; block < blocks; block++)                                        \
            for (zkdl::u32 phase = 0; phase < (phases); phase++)                                  \
                for (zkdl::u32 lane = 0; lane < zkdl::BLOCK; lane++) {                            \
                    const zkdl::Place at{lane, block, blocks};                                    \
                    __VA_ARGS__;                                                                  \
                }                                                                                 \
    }

#endif
