// Field operations on arrays, one element a thread at a time: out[i] = a[i] op b[i].
//
// Launch contract: cuda/README.md. Unary operations take any readable array for b.
#include "inverse.cuh"
#include "launch.cuh"

namespace zkdl {

#define ZKDL_BINARY(name)                                                                          \
    struct name##_op {                                                                             \
        template <class M>                                                                         \
        ZKDL_FN static Element<M> apply(const Element<M>& a, const Element<M>* b) {                \
            return name(a, load(b));                                                               \
        }                                                                                          \
    };
#define ZKDL_UNARY(name)                                                                           \
    struct name##_op {                                                                             \
        template <class M>                                                                         \
        ZKDL_FN static Element<M> apply(const Element<M>& a, const Element<M>*) {                  \
            return name(a);                                                                        \
        }                                                                                          \
    };
ZKDL_BINARY(add)
ZKDL_BINARY(sub)
ZKDL_BINARY(mul)
ZKDL_UNARY(neg)
ZKDL_UNARY(sqr)
ZKDL_UNARY(halve)
ZKDL_UNARY(to_montgomery)
ZKDL_UNARY(from_montgomery)

template <class Op, class M>
ZKDL_FN void elementwise(const Place& at, const Element<M>* a, const Element<M>* b, Element<M>* out, u64 n) {
    for (u64 i = at.thread(); i < n; i += at.threads()) store(out + i, Op::apply(load(a + i), b + i));
}

ZKDL_FN void scale(const Place& at, const Fr* a, const Fr* s, Fr* out, u64 n) {
    const Fr factor = load(s);
    for (u64 i = at.thread(); i < n; i += at.threads()) store(out + i, mul(load(a + i), factor));
}

ZKDL_FN void add_scaled(const Place& at, Fr* out, const Fr* a, const Fr* s, u64 n) {
    const Fr factor = load(s);
    for (u64 i = at.thread(); i < n; i += at.threads())
        store(out + i, add(load(out + i), mul(load(a + i), factor)));
}

ZKDL_FN void fill(const Place& at, const Fr* s, Fr* out, u64 n) {
    const Fr value = load(s);
    for (u64 i = at.thread(); i < n; i += at.threads()) store(out + i, value);
}

template <class Int>
ZKDL_FN void from_integers(const Place& at, const Int* values, Fr* out, u64 n) {
    for (u64 i = at.thread(); i < n; i += at.threads()) store(out + i, from_signed<ModulusFr>(values[i]));
}

}  // namespace zkdl

using zkdl::Fq;
using zkdl::Fr;
using zkdl::i32;
using zkdl::i64;
using zkdl::u64;

#define ZKDL_OPERATION(name)                                                                       \
    ZKDL_KERNEL(name##_Fr, 4, (const Fr* a, const Fr* b, Fr* out, u64 n),                          \
                zkdl::elementwise<zkdl::name##_op>(at, a, b, out, n))                              \
    ZKDL_KERNEL(name##_Fq, 4, (const Fq* a, const Fq* b, Fq* out, u64 n),                          \
                zkdl::elementwise<zkdl::name##_op>(at, a, b, out, n))
ZKDL_OPERATION(add)
ZKDL_OPERATION(sub)
ZKDL_OPERATION(mul)
ZKDL_OPERATION(neg)
ZKDL_OPERATION(sqr)
ZKDL_OPERATION(halve)
ZKDL_OPERATION(to_montgomery)
ZKDL_OPERATION(from_montgomery)

ZKDL_KERNEL(scale_Fr, 4, (const Fr* a, const Fr* s, Fr* out, u64 n), zkdl::scale(at, a, s, out, n))
ZKDL_KERNEL(add_scaled_Fr, 4, (Fr * out, const Fr* a, const Fr* s, u64 n), zkdl::add_scaled(at, out, a, s, n))
ZKDL_KERNEL(fill_Fr, 4, (const Fr* s, Fr* out, u64 n), zkdl::fill(at, s, out, n))
ZKDL_KERNEL(from_i32_Fr, 4, (const i32* values, Fr* out, u64 n), zkdl::from_integers(at, values, out, n))
ZKDL_KERNEL(from_i64_Fr, 4, (const i64* values, Fr* out, u64 n), zkdl::from_integers(at, values, out, n))
