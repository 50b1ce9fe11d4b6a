// Rounds of a sumcheck: pairs of table entries, folded on the way or not, and the products summed over them.
//
// A table of length 2 h is a multilinear polynomial, index bit i <-> variable i; a round binds the HIGHEST variable,
// so entry i pairs with entry i + h and the pair is the line t[i] + X (t[i+h] - t[i]). The round polynomial is the
// sum over i < h of a product of lines. It is summed as values at points (cheaper than coefficients) and turned into
// coefficients once, at the end.
#pragma once
#include "reduce.cuh"
#include "wide.cuh"

namespace zkdl {

// low + r (high - low): the line of a pair at r.
ZKDL_FN Fr line_at(const Fr& low, const Fr& high, const Fr& r) {
    return add(low, mul(r, sub(high, low)));
}

// The pairs of one table that the round is summed over, as `low(i)`, `high(i)`; T is Fr or an integer type.
template <class T>
struct Pairs {
    const T* t;
    u64 half;
    ZKDL_FN T low(u64 i) const { return t[i]; }
    ZKDL_FN T high(u64 i) const { return t[i + half]; }
};
template <>
struct Pairs<Fr> {
    const Fr* t;
    u64 half;
    ZKDL_FN Fr low(u64 i) const { return load(t + i); }
    ZKDL_FN Fr high(u64 i) const { return load(t + i + half); }
};

// Pairs of a table of 4 half entries folded by r on the way, and written to `out` (2 half entries, may be the table
// itself where that holds field elements): thread i alone touches i, i + half, i + 2 half and i + 3 half.
template <class T>
struct FoldedPairs {
    const T* t;
    u64 half;
    Fr r;
    Fr* out;
    ZKDL_FN Fr at(u64 i) const {
        const Pairs<T> pairs{t, 2 * half};
        const Fr v = line_at(pairs.low(i), pairs.high(i), r);
        store(out + i, v);
        return v;
    }
    ZKDL_FN Fr low(u64 i) const { return at(i); }
    ZKDL_FN Fr high(u64 i) const { return at(i + half); }
};

// ---- what is summed ----------------------------------------------------------------------------------------------

// Integers times elements are summed unreduced; this closes the two cases over one text.
template <class Int>
struct Sum {
    Wide t = wide_zero();
    ZKDL_FN void add_term(Int value, const Fr& x) { add_product(t, value, x); }
    ZKDL_FN Fr value() const { return reduce(t); }
};

// f g: values at 0, 1 and infinity (the coefficient of X^2).
struct Quadratic {
    static constexpr int sums = 3;

    template <class F, class G>
    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const F& f, const G& g) {
        for (u64 i = at.thread(); i < half; i += at.threads()) {
            const Fr f0 = f.low(i), f1 = f.high(i), g0 = g.low(i), g1 = g.high(i);
            s[0] = add(s[0], mul(f0, g0));
            s[1] = add(s[1], mul(f1, g1));
            s[2] = add(s[2], mul(sub(f1, f0), sub(g1, g0)));
        }
    }

    // f of integers.
    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const Pairs<i32>& f, const Pairs<Fr>& g) {
        gather_integers(s, at, half, f, g);
    }
    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const Pairs<i64>& f, const Pairs<Fr>& g) {
        gather_integers(s, at, half, f, g);
    }
    template <class Int>
    ZKDL_FN static void gather_integers(Fr* s, const Place& at, u64 half, const Pairs<Int>& f, const Pairs<Fr>& g) {
        Sum<Int> s0, s1;
        Sum<i64> top;
        for (u64 i = at.thread(); i < half; i += at.threads()) {
            const Int f0 = f.low(i), f1 = f.high(i);
            const Fr g0 = g.low(i), g1 = g.high(i);
            s0.add_term(f0, g0);
            s1.add_term(f1, g1);
            top.add_term((i64)f1 - (i64)f0, sub(g1, g0));
        }
        s[0] = s0.value(), s[1] = s1.value(), s[2] = top.value();
    }

    ZKDL_FN static void finish(Fr* s) { s[1] = sub(s[1], add(s[0], s[2])); }
};

// e f g: values at 0, 1, -1 and infinity (the coefficient of X^3).
struct Cubic {
    static constexpr int sums = 4;

    template <class E, class F, class G>
    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const E& e, const F& f, const G& g) {
        for (u64 i = at.thread(); i < half; i += at.threads()) {
            const Fr e0 = e.low(i), e1 = e.high(i), f0 = f.low(i), f1 = f.high(i);
            const Fr de = sub(e1, e0), df = sub(f1, f0);
            // e f is quadratic: its values at 0 and 1 and its top coefficient c give the one at -1, 2 (a + c) - b.
            const Fr a = mul(e0, f0), b = mul(e1, f1), c = mul(de, df), ac = add(a, c);
            const Fr g0 = g.low(i), g1 = g.high(i), dg = sub(g1, g0);
            s[0] = add(s[0], mul(a, g0));
            s[1] = add(s[1], mul(b, g1));
            s[2] = add(s[2], mul(sub(add(ac, ac), b), sub(g0, dg)));
            s[3] = add(s[3], mul(c, dg));
        }
    }

    // f and g of integers below 2^29 in size, so that products of values at -1 (below 9 2^58) fit into words.
    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const Pairs<Fr>& e, const Pairs<i32>& f,
                               const Pairs<i32>& g) {
        Sum<i64> s0, s1, sm, top;
        for (u64 i = at.thread(); i < half; i += at.threads()) {
            const Fr e0 = e.low(i), e1 = e.high(i), de = sub(e1, e0);
            const i64 f0 = f.low(i), f1 = f.high(i), g0 = g.low(i), g1 = g.high(i);
            s0.add_term(f0 * g0, e0);
            s1.add_term(f1 * g1, e1);
            sm.add_term((2 * f0 - f1) * (2 * g0 - g1), sub(e0, de));
            top.add_term((f1 - f0) * (g1 - g0), de);
        }
        s[0] = s0.value(), s[1] = s1.value(), s[2] = sm.value(), s[3] = top.value();
    }

    // c0 + c1 + c2 + c3 = s1 and c0 - c1 + c2 - c3 = s2, with c0 = s0 and c3 = s3 known.
    ZKDL_FN static void finish(Fr* s) {
        const Fr even = halve(add(s[1], s[2])), odd = halve(sub(s[1], s[2]));
        s[1] = sub(odd, s[3]);
        s[2] = sub(even, s[0]);
    }
};

// ---- folds without a round ---------------------------------------------------------------------------------------

// Thread i alone touches i and i + half, so `out` may be the table.
template <class T>
ZKDL_FN void fold(const Place& at, const T* t, const Fr* r, u64 half, Fr* out) {
    const Fr challenge = load(r);
    const Pairs<T> pairs{t, half};
    for (u64 i = at.thread(); i < half; i += at.threads())
        store(out + i, line_at(pairs.low(i), pairs.high(i), challenge));
}

}  // namespace zkdl

// ---- entries -----------------------------------------------------------------------------------------------------

#define ZKDL_ROUND(name, Round, resident, parameters, ...)                                                        \
    ZKDL_PHASED(name, resident, zkdl::Slots<zkdl::Round::sums>, zkdl::SUM_PHASES, parameters,                     \
                zkdl::sum_phase(at, phase, shared, partials, [&](Fr* s) {                                         \
                    using namespace zkdl;                                                                         \
                    Round::gather(s, at, half, __VA_ARGS__);                                                      \
                }))
#define ZKDL_FINISH(name, Round)                                                                                  \
    ZKDL_PHASED(name, 1, zkdl::Slots<zkdl::Round::sums>, zkdl::SUM_PHASES,                                        \
                (const Fr* partials, u32 blocks_before, Fr* out),                                                 \
                zkdl::finish_phase(at, phase, shared, partials, blocks_before, out,                               \
                                   [](Fr* s) { zkdl::Round::finish(s); }))
