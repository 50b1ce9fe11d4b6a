// Field operations on arrays, one element a thread: out[i] = a[i] op b[i].
//
// The body of each kernel is a function of (thread index, n); a host build loops over the index instead of
// launching a grid (entries `host_*`, same arguments). Unary operations take any readable array for b.
#include "field.cuh"

namespace zkdl {

#define ZKDL_BINARY(name)                                                                          \
    struct name##_op {                                                                             \
        template <class M>                                                                         \
        ZKDL_FN static Element<M> apply(const Element<M>& a, const Element<M>& b) {                \
            return name(a, b);                                                                     \
        }                                                                                          \
    };
#define ZKDL_UNARY(name)                                                                           \
    struct name##_op {                                                                             \
        template <class M>                                                                         \
        ZKDL_FN static Element<M> apply(const Element<M>& a, const Element<M>&) {                  \
            return name(a);                                                                        \
        }                                                                                          \
    };
ZKDL_BINARY(add)
ZKDL_BINARY(sub)
ZKDL_BINARY(mul)
ZKDL_UNARY(neg)
ZKDL_UNARY(sqr)
ZKDL_UNARY(halve)

template <class Op, class M>
ZKDL_FN void elementwise(const Element<M>* a, const Element<M>* b, Element<M>* out, u64 i, u64 n) {
    if (i < n) out[i] = Op::apply(load(a + i), load(b + i));
}

}  // namespace zkdl

#if defined(__CUDACC__)
#define ZKDL_ENTRY(name, field)                                                                    \
    extern "C" __global__ void name##_##field(const zkdl::field* a, const zkdl::field* b,          \
                                              zkdl::field* out, zkdl::u64 n) {                     \
        zkdl::elementwise<zkdl::name##_op>(a, b, out, (zkdl::u64)blockIdx.x * blockDim.x + threadIdx.x, n); \
    }
#else
#define ZKDL_ENTRY(name, field)                                                                    \
    extern "C" void host_##name##_##field(const zkdl::field* a, const zkdl::field* b,              \
                                          zkdl::field* out, zkdl::u64 n) {                         \
        for (zkdl::u64 i = 0; i < n; i++) zkdl::elementwise<zkdl::name##_op>(a, b, out, i, n);     \
    }
#endif

#define ZKDL_ENTRIES(field) \
    ZKDL_ENTRY(add, field)  \
    ZKDL_ENTRY(sub, field)  \
    ZKDL_ENTRY(mul, field)  \
    ZKDL_ENTRY(neg, field)  \
    ZKDL_ENTRY(sqr, field)  \
    ZKDL_ENTRY(halve, field)

ZKDL_ENTRIES(Fr)
ZKDL_ENTRIES(Fq)
