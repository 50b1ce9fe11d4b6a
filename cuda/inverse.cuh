// Constants of the two fields, comparisons, conversions, and inversion by divsteps.
#pragma once
#include "field.cuh"

namespace zkdl {

// ---- constants ---------------------------------------------------------------------------------------------------

// one = R mod p, r2 = R^2 mod p, r3 = R^3 mod p, half = (p - 1) / 2 (a plain integer).
template <class M>
struct Constants;

template <>
struct Constants<ModulusFr> {
    ZKDL_FN static u32 one(int i) {
        const u32 w[8] = {0xfffffffeu, 0x00000001u, 0x00034802u, 0x5884b7fau,
                          0xecbc4ff5u, 0x998c4fefu, 0xacc5056fu, 0x1824b159u};
        return w[i];
    }
    ZKDL_FN static u32 r2(int i) {
        const u32 w[8] = {0xf3f29c6du, 0xc999e990u, 0x87925c23u, 0x2b6cedcbu,
                          0x7254398fu, 0x05d31496u, 0x9f59ff11u, 0x0748d9d9u};
        return w[i];
    }
    ZKDL_FN static u32 r3(int i) {
        const u32 w[8] = {0x439b73afu, 0xc62c1807u, 0x8cf06990u, 0x1b3e0d18u,
                          0xc7b5f418u, 0x73d13c71u, 0xc8db33e9u, 0x6e2a5bb9u};
        return w[i];
    }
    ZKDL_FN static u32 half(int i) {
        const u32 w[8] = {0x80000000u, 0x7fffffffu, 0x7fff2dffu, 0xa9ded201u,
                          0x04d0ec02u, 0x199cec04u, 0x94cebea4u, 0x39f6d3a9u};
        return w[i];
    }
};

template <>
struct Constants<ModulusFq> {
    ZKDL_FN static u32 one(int i) {
        const u32 w[12] = {0x0002fffdu, 0x76090000u, 0xc40c0002u, 0xebf4000bu, 0x53c758bau, 0x5f489857u,
                           0x70525745u, 0x77ce5853u, 0xa256ec6du, 0x5c071a97u, 0xfa80e493u, 0x15f65ec3u};
        return w[i];
    }
    ZKDL_FN static u32 r2(int i) {
        const u32 w[12] = {0x1c341746u, 0xf4df1f34u, 0x09d104f1u, 0x0a76e6a6u, 0x4c95b6d5u, 0x8de5476cu,
                           0x939d83c0u, 0x67eb88a9u, 0xb519952du, 0x9a793e85u, 0x92cae3aau, 0x11988fe5u};
        return w[i];
    }
    ZKDL_FN static u32 r3(int i) {
        const u32 w[12] = {0xd94ca1e0u, 0xed48ac6bu, 0x03a7adf8u, 0x315f831eu, 0x615e29ddu, 0x9a53352au,
                           0x921e1761u, 0x34c04e5eu, 0x65724728u, 0x2512d435u, 0x91755d4du, 0x0aa63460u};
        return w[i];
    }
};

#define ZKDL_CONSTANT(name)                                                  \
    template <class M>                                                       \
    ZKDL_FN Element<M> name() {                                              \
        Element<M> r;                                                        \
        ZKDL_UNROLL                                                          \
        for (int i = 0; i < M::N; i++) r.w[i] = Constants<M>::name(i);       \
        return r;                                                            \
    }
ZKDL_CONSTANT(one)
ZKDL_CONSTANT(r2)
ZKDL_CONSTANT(r3)
#undef ZKDL_CONSTANT

// ---- tests and conversions ---------------------------------------------------------------------------------------

template <class M>
ZKDL_FN bool is_zero(const Element<M>& a) {
    u32 any = 0;
    ZKDL_UNROLL
    for (int i = 0; i < M::N; i++) any |= a.w[i];
    return any == 0;
}

// a where `take` is all ones, b where it is 0.
template <class M>
ZKDL_FN Element<M> select(u32 take, const Element<M>& a, const Element<M>& b) {
    Element<M> r;
    ZKDL_UNROLL
    for (int i = 0; i < M::N; i++) r.w[i] = (a.w[i] & take) | (b.w[i] & ~take);
    return r;
}

template <class M>
ZKDL_FN Element<M> to_montgomery(const Element<M>& a) {
    return mul(r2<M>(), a);
}

template <class M>
ZKDL_FN Element<M> from_montgomery(const Element<M>& a) {
    Element<M> unit = zero<M>();
    unit.w[0] = 1;
    return mul(a, unit);
}

// The element of a signed integer. The magnitude is taken in unsigned words, right for the least int64 too.
template <class M>
ZKDL_FN Element<M> from_signed(i64 value) {
    const u64 size = value < 0 ? 0 - (u64)value : (u64)value;
    Element<M> plain = zero<M>();
    plain.w[0] = (u32)size;
    plain.w[1] = (u32)(size >> 32);
    const Element<M> r = to_montgomery(plain);
    return select(value < 0 ? 0xffffffffu : 0u, neg(r), r);
}

// ---- inversion ---------------------------------------------------------------------------------------------------
// Bernstein and Yang, "Fast constant-time gcd computation and modular inversion", 2019, with delta starting at 1/2
// (kept doubled, as an odd integer). 30 divsteps are worked out on the lowest words of f and g; their matrix
// (u v; q r), entries within 2^30 in row sum, is then applied once to f, g exactly and to d, e modulo p. No step
// branches on data, so the threads of a warp run together; they differ only in the number of rounds, by one or two.

// f and g: signed, N words and a sign word.
template <class M>
struct Signed {
    u32 w[M::N + 1];
};

struct Matrix {
    i32 u, v, q, r;
};

constexpr int STEPS = 30;
constexpr u32 STEPS_MASK = (1u << STEPS) - 1;

ZKDL_FN Matrix divsteps(i32& delta, u32 f, u32 g) {
    u32 u = 1, v = 0, q = 0, r = 1;
    for (int i = 0; i < STEPS; i++) {
        const u32 odd = 0u - (g & 1);
        const u32 swap = odd & (delta > 0 ? 0xffffffffu : 0u);
        // (f, g) <- (g, -f) where they swap: g, q, r take what f, u, v held, negated, and the other way round.
        const u32 f_was = f, u_was = u, v_was = v;
        f ^= (f ^ g) & swap, u ^= (u ^ q) & swap, v ^= (v ^ r) & swap;
        g ^= (g ^ (0 - f_was)) & swap, q ^= (q ^ (0 - u_was)) & swap, r ^= (r ^ (0 - v_was)) & swap;
        delta = (i32)(((u32)delta ^ swap) - swap) + 2;  // -delta where they swap
        g += f & odd, q += u & odd, r += v & odd;
        g >>= 1, u <<= 1, v <<= 1;
    }
    return Matrix{(i32)u, (i32)v, (i32)q, (i32)r};
}

// (a f + b g) / 2^30, exact. Each term of the sum is below 2^62 in size, as |a| + |b| <= 2^30.
template <class M>
ZKDL_FN void combine(Signed<M>& out, i32 a, const Signed<M>& f, i32 b, const Signed<M>& g) {
    i64 sum = (i64)a * f.w[0] + (i64)b * g.w[0];
    u32 below = (u32)sum;
    sum >>= 32;
    ZKDL_UNROLL
    for (int i = 1; i < M::N; i++) {
        sum += (i64)a * f.w[i] + (i64)b * g.w[i];
        out.w[i - 1] = (below >> STEPS) | ((u32)sum << (32 - STEPS));
        below = (u32)sum;
        sum >>= 32;
    }
    sum += (i64)a * (i32)f.w[M::N] + (i64)b * (i32)g.w[M::N];
    out.w[M::N - 1] = (below >> STEPS) | ((u32)sum << (32 - STEPS));
    out.w[M::N] = (u32)(sum >> STEPS);
}

// (a d + b e) / 2^30 mod p: a multiple of p below 2^30 p makes the division exact, and puts it in (-p, 2 p).
template <class M>
ZKDL_FN Element<M> combine_modulo(i32 a, const Element<M>& d, i32 b, const Element<M>& e) {
    const u32 low = (u32)a * d.w[0] + (u32)b * e.w[0];
    const i64 factor = (low * M::inv) & STEPS_MASK;
    i64 sum = (i64)a * d.w[0] + (i64)b * e.w[0] + factor * M::p(0);
    u32 below = (u32)sum;
    sum >>= 32;
    Element<M> t;
    ZKDL_UNROLL
    for (int i = 1; i < M::N; i++) {
        sum += (i64)a * d.w[i] + (i64)b * e.w[i] + factor * M::p(i);
        t.w[i - 1] = (below >> STEPS) | ((u32)sum << (32 - STEPS));
        below = (u32)sum;
        sum >>= 32;
    }
    t.w[M::N - 1] = (below >> STEPS) | ((u32)sum << (32 - STEPS));
    const u32 negative = (u32)(sum >> 63);
    Carry k;
    t.w[0] = add_cc(k, t.w[0], M::p(0) & negative);
    ZKDL_UNROLL
    for (int i = 1; i < M::N - 1; i++) t.w[i] = addc_cc(k, t.w[i], M::p(i) & negative);
    t.w[M::N - 1] = addc(k, t.w[M::N - 1], M::p(M::N - 1) & negative);
    return reduce_once(t);
}

// 1 / a; zero for zero.
template <class M>
ZKDL_CALL Element<M> invert(const Element<M>& a) {
    Signed<M> f, g;
    Element<M> d = zero<M>(), e = zero<M>();
    ZKDL_UNROLL
    for (int i = 0; i < M::N; i++) f.w[i] = M::p(i), g.w[i] = a.w[i];
    f.w[M::N] = 0, g.w[M::N] = 0, e.w[0] = 1;
    i32 delta = 1;
    while (true) {
        u32 any = 0;
        ZKDL_UNROLL
        for (int i = 0; i <= M::N; i++) any |= g.w[i];
        if (any == 0) break;
        const Matrix t = divsteps(delta, f.w[0], g.w[0]);
        Signed<M> next;
        combine(next, t.u, f, t.v, g);
        Signed<M> rest;
        combine(rest, t.q, f, t.r, g);
        f = next, g = rest;
        const Element<M> d_next = combine_modulo(t.u, d, t.v, e);
        e = combine_modulo(t.q, d, t.r, e);
        d = d_next;
    }
    // f = +-1 and d f = 1 / a modulo p; a came with a factor R, and mul takes one off: R^3 puts it right.
    const u32 negative = 0u - (f.w[M::N] >> 31);
    return mul(r3<M>(), select(negative, neg(d), d));
}

}  // namespace zkdl
