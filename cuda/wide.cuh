// Sums of signed integers times field elements, reduced once at the end.
#pragma once
#include "inverse.cuh"

namespace zkdl {

// An unreduced sum: 2^32 products of a signed 64-bit word and an element stay below 2^32 2 2^64 p < 2^352.
struct Wide {
    u32 w[11];
};

ZKDL_FN Wide wide_zero() {
    Wide t;
    ZKDL_UNROLL
    for (int i = 0; i < 11; i++) t.w[i] = 0;
    return t;
}

// t += x y 2^(32 AT). Even and odd limbs of x run apart, so that each chain is lo, hi pairs of one product.
template <int AT>
ZKDL_FN void add_row(Wide& t, const Fr& x, u32 y) {
    Carry k;
    u32* w = t.w + AT;
    ZKDL_UNROLL
    for (int odd = 0; odd < 2; odd++) {
        w[odd] = mad_lo_cc(k, x.w[odd], y, w[odd]);
        w[odd + 1] = madc_hi_cc(k, x.w[odd], y, w[odd + 1]);
        ZKDL_UNROLL
        for (int j = odd + 2; j < 8; j += 2) {
            w[j] = madc_lo_cc(k, x.w[j], y, w[j]);
            w[j + 1] = madc_hi_cc(k, x.w[j], y, w[j + 1]);
        }
        ZKDL_UNROLL
        for (int j = odd + 8; j < 10 - AT; j++) w[j] = addc_cc(k, w[j], 0);
        w[10 - AT] = addc(k, w[10 - AT], 0);
    }
}

// t += -x 2^(32 AT) modulo p where `minus` is all ones: what turns an unsigned word's product into a signed one's.
template <int AT>
ZKDL_FN void subtract_where(Wide& t, const Fr& x, u32 minus) {
    const Fr y = neg(x);
    Carry k;
    t.w[AT] = add_cc(k, t.w[AT], y.w[0] & minus);
    ZKDL_UNROLL
    for (int i = 1; i < 8; i++) t.w[AT + i] = addc_cc(k, t.w[AT + i], y.w[i] & minus);
    ZKDL_UNROLL
    for (int i = AT + 8; i < 10; i++) t.w[i] = addc_cc(k, t.w[i], 0);
    t.w[10] = addc(k, t.w[10], 0);
}

// t += value x, for any value of the type.
ZKDL_FN void add_product(Wide& t, i64 value, const Fr& x) {
    add_row<0>(t, x, (u32)value);
    add_row<1>(t, x, (u32)((u64)value >> 32));
    subtract_where<2>(t, x, (u32)(value >> 63));
}

// One row of products is enough for a 32-bit value.
ZKDL_FN void add_product(Wide& t, i32 value, const Fr& x) {
    add_row<0>(t, x, (u32)value);
    subtract_where<1>(t, x, (u32)(value >> 31));
}

// t mod p: low + high R = mul(one, low) + mul(r2, high); the second factor of `mul` may be any value below R.
ZKDL_FN Fr reduce(const Wide& t) {
    Fr low, high = zero<ModulusFr>();
    ZKDL_UNROLL
    for (int i = 0; i < 8; i++) low.w[i] = t.w[i];
    ZKDL_UNROLL
    for (int i = 0; i < 3; i++) high.w[i] = t.w[8 + i];
    return add(mul(one<ModulusFr>(), low), mul(r2<ModulusFr>(), high));
}

// low + r (high - low) from integers below 2^62 in size.
template <class Int>
ZKDL_FN Fr line_at(Int low, Int high, const Fr& r) {
    Wide t = wide_zero();
    add_product(t, low, one<ModulusFr>());
    add_product(t, (i64)high - (i64)low, r);
    return reduce(t);
}

}  // namespace zkdl
