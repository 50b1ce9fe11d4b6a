// Sumcheck rounds over one layer of a fraction tree (the lookup argument).
//
// Launch contract: cuda/README.md.
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

}  // namespace zkdl

using zkdl::Fr;
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
