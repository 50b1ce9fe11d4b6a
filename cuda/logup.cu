// The lookup argument's arrays: leaf denominators, layers of the fraction trees, multiplicities, shared inversions.
//
// Launch contract: cuda/README.md. A fraction tree adds p0/q0 + p1/q1 = (p0 q1 + p1 q0) / (q0 q1), entry i with entry
// i + half.
#include "inverse.cuh"
#include "launch.cuh"

namespace zkdl {

template <class Int>
ZKDL_FN void leaves(const Place& at, const Int* values, const Fr* constant, Fr* out, u64 n) {
    const Fr c = load(constant);
    for (u64 i = at.thread(); i < n; i += at.threads())
        store(out + i, sub(c, from_signed<ModulusFr>(values[i])));
}

ZKDL_FN void layer(const Place& at, const Fr* p, const Fr* q, u64 half, Fr* p_out, Fr* q_out) {
    for (u64 i = at.thread(); i < half; i += at.threads()) {
        const Fr q0 = load(q + i), q1 = load(q + i + half);
        store(p_out + i, add(mul(load(p + i), q1), mul(load(p + i + half), q0)));
        store(q_out + i, mul(q0, q1));
    }
}

template <class Int>
ZKDL_FN void count(const Place& at, const Int* values, u64 n, u32 size, u32* counts, u32* outside) {
    for (u64 i = at.thread(); i < n; i += at.threads()) {
        const i64 value = values[i];
        fetch_add(value >= 0 && value < (i64)size ? counts + value : outside, 1);
    }
}

// Running products in `out`, one inversion, and back. A zero is left out and comes back as zero.
template <class M>
ZKDL_FN void invert_all(const Place& at, const Element<M>* a, Element<M>* out, u64 n) {
    if (at.thread() >= n) return;
    Element<M> running = one<M>();
    u64 i = at.thread();
    for (; i < n; i += at.threads()) {
        const Element<M> value = load(a + i);
        store(out + i, running);
        if (!is_zero(value)) running = mul(running, value);
    }
    Element<M> inverse = invert(running);
    while (i > at.thread()) {
        i -= at.threads();
        const Element<M> value = load(a + i);
        if (is_zero(value)) {
            store(out + i, value);
            continue;
        }
        store(out + i, mul(inverse, load(out + i)));
        inverse = mul(inverse, value);
    }
}

}  // namespace zkdl

using zkdl::Fq;
using zkdl::Fr;
using zkdl::i32;
using zkdl::i64;
using zkdl::u32;
using zkdl::u64;

ZKDL_KERNEL(leaves_i32, 4, (const i32* values, const Fr* constant, Fr* out, u64 n),
            zkdl::leaves(at, values, constant, out, n))
ZKDL_KERNEL(leaves_i64, 4, (const i64* values, const Fr* constant, Fr* out, u64 n),
            zkdl::leaves(at, values, constant, out, n))
ZKDL_KERNEL(tree_layer, 4, (const Fr* p, const Fr* q, u64 half, Fr* p_out, Fr* q_out),
            zkdl::layer(at, p, q, half, p_out, q_out))
ZKDL_KERNEL(count_i32, 8, (const i32* values, u64 n, u32 size, u32* counts, u32* outside),
            zkdl::count(at, values, n, size, counts, outside))
ZKDL_KERNEL(count_i64, 8, (const i64* values, u64 n, u32 size, u32* counts, u32* outside),
            zkdl::count(at, values, n, size, counts, outside))
ZKDL_KERNEL(invert_Fr, 4, (const Fr* a, Fr* out, u64 n), zkdl::invert_all(at, a, out, n))
ZKDL_KERNEL(invert_Fq, 2, (const Fq* a, Fq* out, u64 n), zkdl::invert_all(at, a, out, n))
