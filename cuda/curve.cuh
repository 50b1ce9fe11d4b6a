// Points of BLS12-381 G1, y^2 = x^3 + 4 over Fq: sums in XYZZ coordinates, and the pieces of batch-affine addition.
//
// Affine: x then y, byte for byte the (n, 12) uint64 array of zkdl.arithmetic; infinity is (0, 0), which is not on the
// curve. No point has y = 0 (the group order is odd), so y = 0 alone tells infinity. XYZZ: x = X / ZZ, y = Y / ZZZ
// with ZZ^3 = ZZZ^2; infinity is ZZ = 0, hence zeroed memory. Every function takes equal points, opposite points and
// infinity. Formulas: the Explicit-Formulas Database, "add-2008-s", "madd-2008-s", "dbl-2008-s-1", "mdbl-2008-s-1".
#pragma once
#include "inverse.cuh"

namespace zkdl {

struct ZKDL_ALIGN Affine {
    Fq x, y;
};

struct ZKDL_ALIGN Xyzz {
    Fq x, y, zz, zzz;
};

ZKDL_FN Affine load(const Affine* from) {
    return Affine{load(&from->x), load(&from->y)};
}
ZKDL_FN void store(Affine* to, const Affine& a) {
    store(&to->x, a.x), store(&to->y, a.y);
}
ZKDL_FN Xyzz load(const Xyzz* from) {
    return Xyzz{load(&from->x), load(&from->y), load(&from->zz), load(&from->zzz)};
}
ZKDL_FN void store(Xyzz* to, const Xyzz& a) {
    store(&to->x, a.x), store(&to->y, a.y), store(&to->zz, a.zz), store(&to->zzz, a.zzz);
}

ZKDL_FN bool is_infinity(const Affine& p) { return is_zero(p.y); }
ZKDL_FN bool is_infinity(const Xyzz& p) { return is_zero(p.zz); }

ZKDL_FN Xyzz infinity() {
    const Fq none = zero<ModulusFq>();
    return Xyzz{none, none, none, none};
}

ZKDL_FN Xyzz lift(const Affine& p) {
    const Fq scale = is_infinity(p) ? zero<ModulusFq>() : one<ModulusFq>();
    return Xyzz{p.x, p.y, scale, scale};
}

// -P where `minus` is all ones, P where it is 0.
ZKDL_FN Affine signed_point(const Affine& p, u32 minus) {
    return Affine{p.x, select(minus, neg(p.y), p.y)};
}

// The point number code >> 1, negated where code is odd.
ZKDL_FN Affine load_signed(const Affine* points, u32 code) {
    return signed_point(load(points + (code >> 1)), 0u - (code & 1));
}

// ---- XYZZ --------------------------------------------------------------------------------------------------------

// 2 P; infinity stays infinity because ZZ stays 0.
ZKDL_FN Xyzz twice(const Xyzz& p) {
    const Fq u = add(p.y, p.y), v = sqr(u), w = mul(u, v), s = mul(p.x, v), xx = sqr(p.x);
    const Fq m = add(add(xx, xx), xx);
    Xyzz r;
    r.x = sub(sqr(m), add(s, s));
    r.y = sub(mul(m, sub(s, r.x)), mul(w, p.y));
    r.zz = mul(v, p.zz);
    r.zzz = mul(w, p.zzz);
    return r;
}

// The same as a call: for sums that meet their own operand, which is rare, and for loops where a doubling is one of
// several long formulas.
ZKDL_CALL Xyzz twice_called(const Xyzz& p) { return twice(p); }

// P + Q from U1 = x of P and S1 = y of P, both over the common denominator, and P = U2 - U1, R = S2 - S1.
struct Chord {
    Fq u1, s1, p, r;
};

ZKDL_FN void chord(Xyzz& out, const Chord& c, const Fq& zz, const Fq& zzz) {
    const Fq pp = sqr(c.p), ppp = mul(c.p, pp), q = mul(c.u1, pp);
    out.x = sub(sub(sqr(c.r), ppp), add(q, q));
    out.y = sub(mul(c.r, sub(q, out.x)), mul(c.s1, ppp));
    out.zz = mul(zz, pp);
    out.zzz = mul(zzz, ppp);
}

// acc += Q for affine Q.
ZKDL_FN void add_mixed(Xyzz& acc, const Affine& q) {
    if (is_infinity(q)) return;
    if (is_infinity(acc)) {
        acc = lift(q);
        return;
    }
    Chord c{acc.x, acc.y, sub(mul(q.x, acc.zz), acc.x), sub(mul(q.y, acc.zzz), acc.y)};
    if (is_zero(c.p)) {
        acc = is_zero(c.r) ? twice_called(acc) : infinity();
        return;
    }
    chord(acc, c, acc.zz, acc.zzz);
}

// acc += Q for Q in XYZZ.
ZKDL_FN void add_full(Xyzz& acc, const Xyzz& q) {
    if (is_infinity(q)) return;
    if (is_infinity(acc)) {
        acc = q;
        return;
    }
    Chord c;
    c.u1 = mul(acc.x, q.zz);
    c.s1 = mul(acc.y, q.zzz);
    c.p = sub(mul(q.x, acc.zz), c.u1);
    c.r = sub(mul(q.y, acc.zzz), c.s1);
    if (is_zero(c.p)) {
        acc = is_zero(c.r) ? twice_called(acc) : infinity();
        return;
    }
    const Fq zz = mul(acc.zz, q.zz), zzz = mul(acc.zzz, q.zzz);
    chord(acc, c, zz, zzz);
}

// The same as a call. The formula is some 8,000 instructions: outside the one loop that adds up buckets, a copy for
// every use would only burden the instruction cache and the compiler.
ZKDL_CALL void add_called(Xyzz& acc, const Xyzz& q) { add_full(acc, q); }

// The affine point, from the inverse of ZZZ: 1 / ZZ = ZZ^2 / ZZZ^2.
ZKDL_FN Affine flatten(const Xyzz& p, const Fq& inverse) {
    return Affine{mul(p.x, mul(sqr(p.zz), sqr(inverse))), mul(p.y, inverse)};
}

// ---- batch-affine ------------------------------------------------------------------------------------------------

// What P + Q divides by: x2 - x1, or 2 y for equal points, or 1 where nothing is divided.
ZKDL_FN Fq chord_denominator(const Affine& p, const Affine& q) {
    Fq d = sub(q.x, p.x);
    if (is_zero(d)) d = add(p.y, q.y);  // opposite points give 0 again
    if (is_zero(d) || is_infinity(p) || is_infinity(q)) d = one<ModulusFq>();
    return d;
}

// P + Q, affine, from the inverse of `chord_denominator`.
ZKDL_FN Affine chord_sum(const Affine& p, const Affine& q, const Fq& inverse) {
    if (is_infinity(p)) return q;
    if (is_infinity(q)) return p;
    Fq rise = sub(q.y, p.y);
    if (is_zero(sub(q.x, p.x))) {
        if (is_zero(add(p.y, q.y))) return Affine{zero<ModulusFq>(), zero<ModulusFq>()};
        const Fq xx = sqr(p.x);
        rise = add(add(xx, xx), xx);  // the tangent: 3 x^2 / 2 y
    }
    const Fq slope = mul(rise, inverse);
    const Fq x = sub(sub(sqr(slope), p.x), q.x);
    return Affine{x, sub(mul(slope, sub(p.x, x)), p.y)};
}

}  // namespace zkdl
