// Prime fields Fr and Fq of BLS12-381 on 32-bit limbs: one source for the device and for a plain C++ compiler.
//
// An element is N little-endian 32-bit limbs in Montgomery form, R = 2^(32 N), always fully reduced (< p). In memory
// that is byte for byte the (n, 4) or (n, 6) little-endian uint64 array of zkdl.arithmetic, so no side converts.
//
// Only the carry primitives differ between the two worlds: PTX instructions on the device, a modelled carry flag
// (the Carry argument, empty on the device) elsewhere. Everything above them is the same text, so a test on a
// machine without a GPU runs the limb algorithm that the GPU will run.
#pragma once

namespace zkdl {

typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

#if defined(__CUDACC__)
#define ZKDL_FN __device__ __forceinline__
#define ZKDL_ALIGN __align__(16)  // two or three 128-bit loads an element
#define ZKDL_UNROLL _Pragma("unroll")
#define ZKDL_CALL __device__ __noinline__
#else
#define ZKDL_FN inline
#define ZKDL_ALIGN
#define ZKDL_UNROLL
#define ZKDL_CALL inline
#endif

// A file with long formulas defines ZKDL_CALLED_MUL before its first include: products are then calls, operands and
// result in registers. The formulas stay within the instruction cache, and compile ten times as fast, for some dozens
// of moves beside the hundreds of instructions of a product.
#if defined(ZKDL_CALLED_MUL)
#define ZKDL_MUL ZKDL_CALL
#else
#define ZKDL_MUL ZKDL_FN
#endif

// ---- carry primitives ------------------------------------------------------------------------------------------
// Names follow PTX: a trailing `_cc` sets the carry, `addc`, `subc`, `madc` consume it. `mad*` add a low or high
// half of a 32 x 32 product. For subtraction the flag means "borrow".

#if defined(__CUDACC__)

struct Carry {};

// volatile keeps the statements in program order; nothing that the compiler puts between them (address
// arithmetic, loads) writes the condition-code register, because only instructions with .cc do.
#define ZKDL_OP2(name, text)                                                     \
    ZKDL_FN u32 name(Carry&, u32 a, u32 b) {                                     \
        u32 r;                                                                   \
        asm volatile(text " %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));            \
        return r;                                                                \
    }
#define ZKDL_OP3(name, text)                                                     \
    ZKDL_FN u32 name(Carry&, u32 a, u32 b, u32 c) {                              \
        u32 r;                                                                   \
        asm volatile(text " %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)); \
        return r;                                                                \
    }
ZKDL_OP2(add_cc, "add.cc.u32")
ZKDL_OP2(addc_cc, "addc.cc.u32")
ZKDL_OP2(addc, "addc.u32")
ZKDL_OP2(sub_cc, "sub.cc.u32")
ZKDL_OP2(subc_cc, "subc.cc.u32")
ZKDL_OP2(subc, "subc.u32")
ZKDL_OP3(mad_lo_cc, "mad.lo.cc.u32")
ZKDL_OP3(madc_lo_cc, "madc.lo.cc.u32")
ZKDL_OP3(madc_hi_cc, "madc.hi.cc.u32")
ZKDL_OP3(madc_hi, "madc.hi.u32")
#undef ZKDL_OP2
#undef ZKDL_OP3

ZKDL_FN u32 mul_hi(u32 a, u32 b) { return __umulhi(a, b); }

// -a, written so that ptxas does not see a negation: it would pull the sign into the low products by -a and then find no
// pairs of low and high halves to fuse (288 machine instructions for a product in Fr instead of 240).
ZKDL_FN u32 negative(u32 a) {
    u32 r;
    asm volatile("xor.b32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(a));
    asm volatile("add.u32 %0, %1, 1;" : "=r"(r) : "r"(r));
    return r;
}

#else

struct Carry {
    u32 flag = 0;
};

inline u32 carry_out(Carry& k, u64 t) {
    k.flag = (u32)(t >> 32);
    return (u32)t;
}
inline u32 borrow_out(Carry& k, u64 t) {
    k.flag = (u32)(t >> 32) & 1;  // the 64-bit difference wraps, its high half is 0 or all ones
    return (u32)t;
}
inline u32 mul_hi(u32 a, u32 b) { return (u32)(((u64)a * b) >> 32); }
inline u32 negative(u32 a) { return 0u - a; }

inline u32 add_cc(Carry& k, u32 a, u32 b) { return carry_out(k, (u64)a + b); }
inline u32 addc_cc(Carry& k, u32 a, u32 b) { return carry_out(k, (u64)a + b + k.flag); }
inline u32 addc(Carry& k, u32 a, u32 b) { return a + b + k.flag; }
inline u32 sub_cc(Carry& k, u32 a, u32 b) { return borrow_out(k, (u64)a - b); }
inline u32 subc_cc(Carry& k, u32 a, u32 b) { return borrow_out(k, (u64)a - b - k.flag); }
inline u32 subc(Carry& k, u32 a, u32 b) { return a - b - k.flag; }
inline u32 mad_lo_cc(Carry& k, u32 a, u32 b, u32 c) { return carry_out(k, (u64)(a * b) + c); }
inline u32 madc_lo_cc(Carry& k, u32 a, u32 b, u32 c) { return carry_out(k, (u64)(a * b) + c + k.flag); }
inline u32 madc_hi_cc(Carry& k, u32 a, u32 b, u32 c) { return carry_out(k, (u64)mul_hi(a, b) + c + k.flag); }
inline u32 madc_hi(Carry& k, u32 a, u32 b, u32 c) { return mul_hi(a, b) + c + k.flag; }

#endif

// ---- the two moduli --------------------------------------------------------------------------------------------
// `p(i)` is limb i of the modulus; the array is local so that it folds into immediates once loops are unrolled.
// `inv` is -1/p mod 2^32. Both moduli satisfy 2 p < R, which the bounds in `mul` rest on.

struct ModulusFr {
    static constexpr int N = 8;
    static constexpr u32 inv = 0xffffffffu;
    ZKDL_FN static u32 p(int i) {
        const u32 limbs[N] = {0x00000001u, 0xffffffffu, 0xfffe5bfeu, 0x53bda402u,
                              0x09a1d805u, 0x3339d808u, 0x299d7d48u, 0x73eda753u};
        return limbs[i];
    }
};

struct ModulusFq {
    static constexpr int N = 12;
    static constexpr u32 inv = 0xfffcfffdu;
    ZKDL_FN static u32 p(int i) {
        const u32 limbs[N] = {0xffffaaabu, 0xb9feffffu, 0xb153ffffu, 0x1eabfffeu, 0xf6b0f624u, 0x6730d2a0u,
                              0xf38512bfu, 0x64774b84u, 0x434bacd7u, 0x4b1ba7b6u, 0x397fe69au, 0x1a0111eau};
        return limbs[i];
    }
};

template <class M>
struct ZKDL_ALIGN Element {
    u32 w[M::N];
};

typedef Element<ModulusFr> Fr;
typedef Element<ModulusFq> Fq;

// Reads an element in 128-bit pieces on the device; a plain copy would come out as N 32-bit loads, because the
// compiler will not merge loads across the volatile arithmetic between them.
template <class M>
ZKDL_FN Element<M> load(const Element<M>* from) {
    Element<M> r;
#if defined(__CUDACC__)
    const uint4* piece = reinterpret_cast<const uint4*>(from);
    ZKDL_UNROLL
    for (int i = 0; i < M::N / 4; i++) {
        const uint4 q = piece[i];
        r.w[4 * i] = q.x, r.w[4 * i + 1] = q.y, r.w[4 * i + 2] = q.z, r.w[4 * i + 3] = q.w;
    }
#else
    r = *from;
#endif
    return r;
}

// Writes an element in 128-bit pieces on the device, for the same reason.
template <class M>
ZKDL_FN void store(Element<M>* to, const Element<M>& a) {
#if defined(__CUDACC__)
    uint4* piece = reinterpret_cast<uint4*>(to);
    ZKDL_UNROLL
    for (int i = 0; i < M::N / 4; i++)
        piece[i] = make_uint4(a.w[4 * i], a.w[4 * i + 1], a.w[4 * i + 2], a.w[4 * i + 3]);
#else
    *to = a;
#endif
}

// ---- additive operations ---------------------------------------------------------------------------------------

template <class M>
ZKDL_FN Element<M> zero() {
    Element<M> r;
    ZKDL_UNROLL
    for (int i = 0; i < M::N; i++) r.w[i] = 0;
    return r;
}

// a mod p for a < 2 p: subtract p, keep the difference unless it borrowed. A select, not a branch.
template <class M>
ZKDL_FN Element<M> reduce_once(const Element<M>& a) {
    Carry k;
    Element<M> d;
    d.w[0] = sub_cc(k, a.w[0], M::p(0));
    ZKDL_UNROLL
    for (int i = 1; i < M::N; i++) d.w[i] = subc_cc(k, a.w[i], M::p(i));
    const u32 borrowed = subc(k, 0, 0);  // 0 or all ones
    ZKDL_UNROLL
    for (int i = 0; i < M::N; i++) d.w[i] = (a.w[i] & borrowed) | (d.w[i] & ~borrowed);
    return d;
}

template <class M>
ZKDL_FN Element<M> add(const Element<M>& a, const Element<M>& b) {
    Carry k;
    Element<M> r;
    r.w[0] = add_cc(k, a.w[0], b.w[0]);
    ZKDL_UNROLL
    for (int i = 1; i < M::N - 1; i++) r.w[i] = addc_cc(k, a.w[i], b.w[i]);
    r.w[M::N - 1] = addc(k, a.w[M::N - 1], b.w[M::N - 1]);  // a + b < 2 p < R: no carry leaves the top limb
    return reduce_once(r);
}

template <class M>
ZKDL_FN Element<M> sub(const Element<M>& a, const Element<M>& b) {
    Carry k;
    Element<M> r;
    r.w[0] = sub_cc(k, a.w[0], b.w[0]);
    ZKDL_UNROLL
    for (int i = 1; i < M::N; i++) r.w[i] = subc_cc(k, a.w[i], b.w[i]);
    const u32 borrowed = subc(k, 0, 0);
    r.w[0] = add_cc(k, r.w[0], M::p(0) & borrowed);
    ZKDL_UNROLL
    for (int i = 1; i < M::N - 1; i++) r.w[i] = addc_cc(k, r.w[i], M::p(i) & borrowed);
    r.w[M::N - 1] = addc(k, r.w[M::N - 1], M::p(M::N - 1) & borrowed);
    return r;
}

template <class M>
ZKDL_FN Element<M> neg(const Element<M>& a) {
    return sub(zero<M>(), a);
}

// a / 2: add p when a is odd (a + p < 2 p < R), then shift.
template <class M>
ZKDL_FN Element<M> halve(const Element<M>& a) {
    Carry k;
    const u32 odd = 0u - (a.w[0] & 1u);
    Element<M> s;
    s.w[0] = add_cc(k, a.w[0], M::p(0) & odd);
    ZKDL_UNROLL
    for (int i = 1; i < M::N - 1; i++) s.w[i] = addc_cc(k, a.w[i], M::p(i) & odd);
    s.w[M::N - 1] = addc(k, a.w[M::N - 1], M::p(M::N - 1) & odd);
    ZKDL_UNROLL
    for (int i = 0; i < M::N - 1; i++) s.w[i] = (s.w[i] >> 1) | (s.w[i + 1] << 31);
    s.w[M::N - 1] >>= 1;
    return s;
}

// ---- Montgomery product ----------------------------------------------------------------------------------------
// The running sum T = sum_j even[j] 2^(32 j) + sum_j odd[j] 2^(32 (j+1)) keeps products of even limbs apart from
// products of odd limbs, so that each chain is lo, hi, lo, hi ... of the same operands: ptxas fuses such a pair into
// one wide multiply-add. Before a row T < 2 p; within it T < 2^33 p < 2^(32 (N+1)), hence no carry leaves odd[N-1].

// acc[j], acc[j+1] += lo, hi of x(j) * y for j = 0, 2, 4 ...; the carry out is left in k.
#define ZKDL_MAD_ROW(acc, x, y)                                    \
    acc[0] = mad_lo_cc(k, x(0), y, acc[0]);                        \
    acc[1] = madc_hi_cc(k, x(0), y, acc[1]);                       \
    ZKDL_UNROLL                                                    \
    for (int j = 2; j < M::N; j += 2) {                            \
        acc[j] = madc_lo_cc(k, x(j), y, acc[j]);                   \
        acc[j + 1] = madc_hi_cc(k, x(j), y, acc[j + 1]);           \
    }

// T += m p with m chosen so that limb 0 of T becomes 0.
template <class M>
ZKDL_FN void reduce_row(u32* even, u32* odd) {
    Carry k;
    const u32 m = M::inv == 0xffffffffu ? negative(even[0]) : even[0] * M::inv;
#define ZKDL_P_EVEN(j) M::p(j)
#define ZKDL_P_ODD(j) M::p((j) + 1)
    ZKDL_MAD_ROW(odd, ZKDL_P_ODD, m)
    ZKDL_MAD_ROW(even, ZKDL_P_EVEN, m)
    odd[M::N - 1] = addc(k, odd[M::N - 1], 0);
#undef ZKDL_P_EVEN
#undef ZKDL_P_ODD
}

// T = T / 2^32 + a b, where limb 0 of T is 0. The shift swaps the roles of the arrays: `even` names what was `odd`
// in the row before, and `odd` (the old `even`) moves down two limbs while the products are added.
template <class M>
ZKDL_FN void multiply_row(u32* even, u32* odd, const Element<M>& a, u32 b) {
    Carry k;
    even[0] = add_cc(k, even[0], odd[1]);
    ZKDL_UNROLL
    for (int j = 0; j < M::N - 2; j += 2) {
        odd[j] = madc_lo_cc(k, a.w[j + 1], b, odd[j + 2]);
        odd[j + 1] = madc_hi_cc(k, a.w[j + 1], b, odd[j + 3]);
    }
    odd[M::N - 2] = madc_lo_cc(k, a.w[M::N - 1], b, 0);
    odd[M::N - 1] = madc_hi(k, a.w[M::N - 1], b, 0);
#define ZKDL_A_EVEN(j) a.w[j]
    ZKDL_MAD_ROW(even, ZKDL_A_EVEN, b)
#undef ZKDL_A_EVEN
    odd[M::N - 1] = addc(k, odd[M::N - 1], 0);
}
#undef ZKDL_MAD_ROW

// a b / R mod p, for a < p and any b < R. Operands by value: a call then passes them in registers.
template <class M>
ZKDL_MUL Element<M> mul(const Element<M> a, const Element<M> b) {
    u32 even[M::N], odd[M::N];
    ZKDL_UNROLL
    for (int j = 0; j < M::N; j += 2) {
        even[j] = a.w[j] * b.w[0];
        even[j + 1] = mul_hi(a.w[j], b.w[0]);
        odd[j] = a.w[j + 1] * b.w[0];
        odd[j + 1] = mul_hi(a.w[j + 1], b.w[0]);
    }
    reduce_row<M>(even, odd);
    multiply_row<M>(odd, even, a, b.w[1]);
    reduce_row<M>(odd, even);
    ZKDL_UNROLL
    for (int i = 2; i < M::N; i += 2) {
        multiply_row<M>(even, odd, a, b.w[i]);
        reduce_row<M>(even, odd);
        multiply_row<M>(odd, even, a, b.w[i + 1]);
        reduce_row<M>(odd, even);
    }
    // After an even number of rows `odd` holds the even positions: drop its zero limb and add the two chains.
    Carry k;
    Element<M> r;
    r.w[0] = add_cc(k, even[0], odd[1]);
    ZKDL_UNROLL
    for (int j = 1; j < M::N - 1; j++) r.w[j] = addc_cc(k, even[j], odd[j + 1]);
    r.w[M::N - 1] = addc(k, even[M::N - 1], 0);
    return reduce_once(r);
}

template <class M>
ZKDL_FN Element<M> sqr(const Element<M>& a) {
    return mul(a, a);
}

}  // namespace zkdl
