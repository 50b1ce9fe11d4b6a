// Arrays of points: sums of pairs with shared inversions, XYZZ to affine, one scalar for many points.
//
// Launch contract: cuda/README.md. A thread takes every at.threads()-th element, multiplies up what it has to divide by
// (the running products go to `products`), inverts once, and walks back. So one grid-wide pass costs one inversion a
// thread; the grid is chosen to give each thread some dozens of elements.
#define ZKDL_CALLED_MUL
#include "curve.cuh"
#include "launch.cuh"

namespace zkdl {

// For every element i of this thread: finish(i, 1 / denominator(i)). No denominator may be zero. The walk back meets
// the elements in the opposite order.
template <class Denominator, class Finish>
ZKDL_FN void share_inversion(const Place& at, u64 n, Fq* products, const Denominator& denominator,
                             const Finish& finish) {
    if (at.thread() >= n) return;
    Fq running = one<ModulusFq>();
    u64 i = at.thread();
    for (; i < n; i += at.threads()) {
        store(products + i, running);
        running = mul(running, denominator(i));
    }
    Fq inverse = invert(running);
    while (i > at.thread()) {
        i -= at.threads();
        const Fq own = mul(inverse, load(products + i));
        inverse = mul(inverse, denominator(i));
        finish(i, own);
    }
}

// ---- bodies ------------------------------------------------------------------------------------------------------

ZKDL_FN void add_pairs(const Place& at, const Affine* points, const u32* left, const u32* right, const u32* target,
                       u64 n, Fq* products, Affine* out) {
    share_inversion(
        at, n, products,
        [&](u64 i) { return chord_denominator(load(points + left[i]), load(points + right[i])); },
        [&](u64 i, const Fq& inverse) {
            store(out + target[i], chord_sum(load(points + left[i]), load(points + right[i]), inverse));
        });
}

ZKDL_FN void flatten_all(const Place& at, const Xyzz* in, u64 n, Fq* products, Affine* out) {
    share_inversion(
        at, n, products,
        [&](u64 i) {
            const Fq zzz = load(&in[i].zzz);
            return is_zero(zzz) ? one<ModulusFq>() : zzz;
        },
        [&](u64 i, const Fq& inverse) {
            // Infinity's coordinates need not be zero, its ZZ is: x comes out right, y takes the select.
            const Xyzz p = load(in + i);
            Affine flat = flatten(p, inverse);
            const u32 finite = is_infinity(p) ? 0u : 0xffffffffu;
            flat.y = select(finite, flat.y, zero<ModulusFq>());
            store(out + i, flat);
        });
}

// The digits are the same for all points, so threads never part ways over them.
ZKDL_FN void multiply_all(const Place& at, const Affine* points, u64 n, const signed char* digits, u32 count,
                          const Affine* more, Xyzz* out) {
    for (u64 i = at.thread(); i < n; i += at.threads()) {
        const Affine p = load(points + i);
        Xyzz sum = infinity();
        // Step 0 adds the last summand after all doublings: the long formula appears once.
        for (u32 step = count + 1; step > 0; step--) {
            const bool last = step == 1;
            const int digit = last ? (more ? 1 : 0) : digits[step - 2];
            if (!last) sum = twice_called(sum);
            if (digit != 0) add_mixed(sum, last ? load(more + i) : signed_point(p, digit < 0 ? 0xffffffffu : 0u));
        }
        store(out + i, sum);
    }
}

}  // namespace zkdl

// ---- entries -----------------------------------------------------------------------------------------------------

using zkdl::Affine;
using zkdl::Fq;
using zkdl::u32;
using zkdl::u64;
using zkdl::Xyzz;

ZKDL_KERNEL(add_points, 2,
            (const Affine* points, const u32* left, const u32* right, const u32* target, u64 n, Fq* products,
             Affine* out),
            zkdl::add_pairs(at, points, left, right, target, n, products, out))
ZKDL_KERNEL(normalise, 2, (const Xyzz* in, u64 n, Fq* products, Affine* out),
            zkdl::flatten_all(at, in, n, products, out))
ZKDL_KERNEL(multiply_shared, 2,
            (const Affine* points, u64 n, const signed char* digits, u32 count, const Affine* add, Xyzz* out),
            zkdl::multiply_all(at, points, n, digits, count, add, out))
