// Sumcheck rounds with an eq factor: layers of a fraction tree (the lookup argument), booleanity, weighted products.
//
// Launch contract: cuda/README.md. The factor of eq that belongs to the round's own variable is left out, so the sums
// are of degree 2: a round hands out t(0) and the leading coefficient, the claim gives the rest.
#define ZKDL_CALLED_MUL
#include "rounds.cuh"

namespace zkdl {

// A layer of a fraction tree with the eq polynomial's factor of the round's own variable taken out: t(X) = sum over i
// of eq[i] ((p0 + lambda q0) q1 + p1 q0)(i, X), values at 0 and infinity; the claim gives t(1).
struct Fraction {
    static constexpr int sums = 2;

    ZKDL_FN static Fr term(const Fr& eq, const Fr& p0, const Fr& p1, const Fr& q0, const Fr& q1, const Fr& lambda) {
        return mul(eq, add(mul(add(p0, mul(lambda, q0)), q1), mul(p1, q0)));
    }

    template <class Eq, class T>
    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const Eq& eq, const Fr& lambda, const T& p0,
                               const T& p1, const T& q0, const T& q1) {
        for (u64 i = at.thread(); i < half; i += at.threads()) {
            const Fr e = eq(i);
            const Fr a0 = p0.low(i), b0 = p1.low(i), c0 = q0.low(i), d0 = q1.low(i);
            s[0] = add(s[0], term(e, a0, b0, c0, d0, lambda));
            const Fr a = sub(p0.high(i), a0), b = sub(p1.high(i), b0), c = sub(q0.high(i), c0), d = sub(q1.high(i), d0);
            s[1] = add(s[1], term(e, a, b, c, d, lambda));
        }
    }

    ZKDL_FN static void finish(Fr*) {}
};

// The same with u = p0 + lambda q0 worked out beforehand: sum of eq (u q1 + p1 q0).
struct Layer {
    static constexpr int sums = 2;

    ZKDL_FN static Fr term(const Fr& eq, const Fr& u, const Fr& p1, const Fr& q0, const Fr& q1) {
        return mul(eq, add(mul(u, q1), mul(p1, q0)));
    }

    template <class T>
    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const Fr* eq, const T& u, const T& p1, const T& q0,
                               const T& q1) {
        for (u64 i = at.thread(); i < half; i += at.threads()) {
            const Fr e = load(eq + i);
            const Fr a0 = u.low(i), b0 = p1.low(i), c0 = q0.low(i), d0 = q1.low(i);
            s[0] = add(s[0], term(e, a0, b0, c0, d0));
            const Fr a = sub(u.high(i), a0), b = sub(p1.high(i), b0), c = sub(q0.high(i), c0), d = sub(q1.high(i), d0);
            s[1] = add(s[1], term(e, a, b, c, d));
        }
    }

    ZKDL_FN static void finish(Fr*) {}
};

// First round of a layer with integer numerators: the ends of eq (p0 q1 + p1 q0), then those of eq q0 q1.
struct IntegerLayer {
    static constexpr int sums = 4;

    template <class Int>
    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const Fr* eq, const Pairs<Int>& p0,
                               const Pairs<Int>& p1, const Pairs<Fr>& q0, const Pairs<Fr>& q1) {
        Wide low = wide_zero(), top = wide_zero();
        for (u64 i = at.thread(); i < half; i += at.threads()) {
            const Fr e = load(eq + i), c0 = q0.low(i), d0 = q1.low(i);
            const Int a0 = p0.low(i), b0 = p1.low(i);
            const Fr ed0 = mul(e, d0);
            add_product(low, a0, ed0);
            add_product(low, b0, mul(e, c0));
            s[2] = add(s[2], mul(ed0, c0));
            const Fr c = sub(q0.high(i), c0), ed = mul(e, sub(q1.high(i), d0));
            add_product(top, (i64)p0.high(i) - (i64)a0, ed);
            add_product(top, (i64)p1.high(i) - (i64)b0, mul(e, c));
            s[3] = add(s[3], mul(ed, c));
        }
        s[0] = reduce(low), s[1] = reduce(top);
    }

    ZKDL_FN static void finish(Fr*) {}
};

// Sum of eq f (f - 1), which vanishes for bits.
struct Boolean {
    static constexpr int sums = 2;

    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const Fr* eq, const Pairs<Fr>& f) {
        for (u64 i = at.thread(); i < half; i += at.threads()) {
            const Fr e = load(eq + i), f0 = f.low(i), df = sub(f.high(i), f0);
            s[0] = add(s[0], mul(e, mul(f0, sub(f0, one<ModulusFr>()))));
            s[1] = add(s[1], mul(e, sqr(df)));
        }
    }

    // f of integers below 2^30 in size: f (f - 1) and the square of a difference fit into words.
    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const Fr* eq, const Pairs<i32>& f) {
        Wide low = wide_zero(), top = wide_zero();
        for (u64 i = at.thread(); i < half; i += at.threads()) {
            const Fr e = load(eq + i);
            const i64 f0 = f.low(i), df = f.high(i) - f0;
            add_product(low, f0 * (f0 - 1), e);
            add_product(top, df * df, e);
        }
        s[0] = reduce(low), s[1] = reduce(top);
    }

    ZKDL_FN static void finish(Fr*) {}
};

// Sum of eq f g where eq depends on the lowest bits of i alone.
struct Weighted {
    static constexpr int sums = 2;

    ZKDL_FN static void gather(Fr* s, const Place& at, u64 half, const Fr* eq, u64 mask, const Pairs<Fr>& f,
                               const Pairs<Fr>& g) {
        for (u64 i = at.thread(); i < half; i += at.threads()) {
            const Fr e = load(eq + (i & mask)), f0 = f.low(i), g0 = g.low(i);
            s[0] = add(s[0], mul(e, mul(f0, g0)));
            s[1] = add(s[1], mul(e, mul(sub(f.high(i), f0), sub(g.high(i), g0))));
        }
    }

    ZKDL_FN static void finish(Fr*) {}
};

}  // namespace zkdl

using zkdl::Fr;
using zkdl::i32;
using zkdl::i64;
using zkdl::u32;
using zkdl::u64;

ZKDL_ROUND(round_fraction, Fraction, 3,
           (const Fr* eq, const Fr* p0, const Fr* p1, const Fr* q0, const Fr* q1, const Fr* lambda, u64 half,
            Fr* partials),
           [&](u64 i) { return load(eq + i); }, load(lambda), Pairs<Fr>{p0, half}, Pairs<Fr>{p1, half},
           Pairs<Fr>{q0, half}, Pairs<Fr>{q1, half})
ZKDL_ROUND(fold_round_fraction, Fraction, 3,
           (Fr * eq, Fr* p0, Fr* p1, Fr* q0, Fr* q1, const Fr* lambda, const Fr* r, u64 half, Fr* partials),
           [&](u64 i) {
               const Fr e = add(load(eq + i), load(eq + i + half));
               store(eq + i, e);
               return e;
           },
           load(lambda), FoldedPairs<Fr>{p0, half, load(r), p0}, FoldedPairs<Fr>{p1, half, load(r), p1},
           FoldedPairs<Fr>{q0, half, load(r), q0}, FoldedPairs<Fr>{q1, half, load(r), q1})
ZKDL_FINISH(finish_fraction, Fraction)

ZKDL_ROUND(round_layer, Layer, 4,
           (const Fr* eq, const Fr* u, const Fr* p1, const Fr* q0, const Fr* q1, u64 half, Fr* partials), eq,
           Pairs<Fr>{u, half}, Pairs<Fr>{p1, half}, Pairs<Fr>{q0, half}, Pairs<Fr>{q1, half})
ZKDL_ROUND(fold_round_layer, Layer, 3,
           (const Fr* eq, Fr* u, Fr* p1, Fr* q0, Fr* q1, const Fr* r, u64 half, Fr* partials), eq,
           FoldedPairs<Fr>{u, half, load(r), u}, FoldedPairs<Fr>{p1, half, load(r), p1},
           FoldedPairs<Fr>{q0, half, load(r), q0}, FoldedPairs<Fr>{q1, half, load(r), q1})
#define ZKDL_INTEGER_LAYER(Int)                                                                                   \
    ZKDL_ROUND(round_integer_layer_##Int, IntegerLayer, 3,                                                        \
               (const Fr* eq, const Int* p0, const Int* p1, const Fr* q0, const Fr* q1, u64 half, Fr* partials),  \
               eq, Pairs<Int>{p0, half}, Pairs<Int>{p1, half}, Pairs<Fr>{q0, half}, Pairs<Fr>{q1, half})
ZKDL_INTEGER_LAYER(i32)
ZKDL_INTEGER_LAYER(i64)
ZKDL_FINISH(finish_integer_layer, IntegerLayer)
ZKDL_ROUND(round_boolean, Boolean, 4, (const Fr* eq, const Fr* f, u64 half, Fr* partials), eq, Pairs<Fr>{f, half})
ZKDL_ROUND(round_boolean_i32, Boolean, 4, (const Fr* eq, const i32* f, u64 half, Fr* partials), eq,
           Pairs<i32>{f, half})
ZKDL_ROUND(round_weighted, Weighted, 4,
           (const Fr* eq, u64 mask, const Fr* f, const Fr* g, u64 half, Fr* partials), eq, mask, Pairs<Fr>{f, half},
           Pairs<Fr>{g, half})
