// Multi-scalar multiplication, first half: signed digits sorted into buckets by counting.
//
// Launch contract: cuda/README.md. For rows x columns scalars over the same `columns` points, row r, window w and digit
// +-(b + 1) put column j into bucket (r windows + w) B + b, B = 2^(bits - 1). Digits lie in (-B, B]; the caller has
// chosen enough windows for the last carry to be zero.
//
// Three passes: `msm_count_*` counts and hands every digit its rank within its bucket; `scan_*` turn counts into
// offsets; `msm_scatter_*` works the digits out again (cheaper than storing them) and writes the entries. Ranks come
// from atomic additions, so the order within a bucket is any; the sums do not depend on it.
#include "inverse.cuh"
#include "launch.cuh"

namespace zkdl {

// A scalar as magnitude and sign.
struct Magnitude {
    u32 w[8];
    u32 negative;
};

// Fr in (-r/2, r/2): one bit less than [0, r), which saves the last window.
ZKDL_FN Magnitude magnitude(const Fr* scalar) {
    const Fr plain = from_montgomery(load(scalar));
    Carry k;
    sub_cc(k, Constants<ModulusFr>::half(0), plain.w[0]);
    ZKDL_UNROLL
    for (int i = 1; i < 8; i++) subc_cc(k, Constants<ModulusFr>::half(i), plain.w[i]);
    const u32 negative = subc(k, 0, 0);  // all ones where the value exceeds (r - 1) / 2
    const Fr size = select(negative, neg(plain), plain);
    Magnitude m;
    ZKDL_UNROLL
    for (int i = 0; i < 8; i++) m.w[i] = size.w[i];
    m.negative = negative & 1;
    return m;
}

ZKDL_FN Magnitude magnitude(const i64* scalar) {
    const i64 value = *scalar;
    const u64 size = value < 0 ? 0 - (u64)value : (u64)value;
    Magnitude m = {{(u32)size, (u32)(size >> 32), 0, 0, 0, 0, 0, 0}, value < 0 ? 1u : 0u};
    return m;
}

ZKDL_FN Magnitude magnitude(const i32* scalar) {
    const i64 value = *scalar;
    return magnitude(&value);
}

// What one batch looks like.
struct Batch {
    u64 rows, columns;
    u32 bits, windows;
    ZKDL_FN u64 scalars() const { return rows * columns; }
};

// Calls visit(window, bucket of the batch, digit is negative) for every digit of scalar i that is not zero. The
// words are shifted down by `bits` from window to window: an index known only at run time would put them in memory.
template <class Scalar, class Visit>
ZKDL_FN void each_digit(const Scalar* scalars, const Batch& batch, u64 i, const Visit& visit) {
    Magnitude m = magnitude(scalars + i);
    const u32 mask = (1u << batch.bits) - 1, buckets = 1u << (batch.bits - 1);
    const u32 set = (u32)(i / batch.columns) * batch.windows;
    u32 carry = 0;
    for (u32 window = 0; window < batch.windows; window++) {
        const u32 digit = (m.w[0] & mask) + carry;
        carry = digit > buckets ? 1 : 0;
        const u32 size = carry ? 2 * buckets - digit : digit;
        ZKDL_UNROLL
        for (int j = 0; j < 7; j++) m.w[j] = (m.w[j] >> batch.bits) | (m.w[j + 1] << (32 - batch.bits));
        m.w[7] >>= batch.bits;
        // A digit of 2 B carries and leaves nothing behind.
        if (size != 0) visit(window, (set + window) * buckets + size - 1, m.negative ^ carry);
    }
}

// ---- bodies ------------------------------------------------------------------------------------------------------

template <class Scalar>
ZKDL_FN void count(const Place& at, const Scalar* scalars, const Batch& batch, u32* counts, u32* ranks) {
    for (u64 i = at.thread(); i < batch.scalars(); i += at.threads()) {
        each_digit(scalars, batch, i, [&](u32 window, u32 bucket, u32) {
            ranks[window * batch.scalars() + i] = fetch_add(counts + bucket, 1);
        });
    }
}

template <class Scalar>
ZKDL_FN void scatter(const Place& at, const Scalar* scalars, const Batch& batch, const u32* offsets, const u32* ranks,
                     u32* entries) {
    for (u64 i = at.thread(); i < batch.scalars(); i += at.threads()) {
        const u32 column = (u32)(i % batch.columns);
        each_digit(scalars, batch, i, [&](u32 window, u32 bucket, u32 negative) {
            entries[offsets[bucket] + ranks[window * batch.scalars() + i]] = 2 * column + negative;
        });
    }
}

// Exclusive sums of pieces of BLOCK x EACH entries: every thread adds up its EACH entries, the block scans those sums
// by doubling steps, every thread writes out its own.
constexpr u32 EACH = 16;
constexpr u32 SCAN_STEPS = 7;  // 2^7 = BLOCK

struct ScanSlots {
    u32 sum[2][BLOCK];
};

ZKDL_FN void scan_phase(const Place& at, u32 phase, ScanSlots& slots, const u32* in, u32* out, u32* totals, u64 n) {
    const u64 first = at.thread() * EACH;
    const u32 lane = at.lane;
    if (phase == 0) {
        u32 sum = 0;
        for (u32 j = 0; j < EACH; j++)
            if (first + j < n) sum += in[first + j];
        slots.sum[0][lane] = sum;
    } else if (phase <= SCAN_STEPS) {
        const u32 from = (phase - 1) & 1, distance = 1u << (phase - 1);
        const u32 before = lane >= distance ? slots.sum[from][lane - distance] : 0;
        slots.sum[from ^ 1][lane] = slots.sum[from][lane] + before;
    } else {
        const u32* inclusive = slots.sum[SCAN_STEPS & 1];
        u32 running = lane > 0 ? inclusive[lane - 1] : 0;
        for (u32 j = 0; j < EACH; j++) {
            if (first + j >= n) break;
            const u32 value = in[first + j];
            out[first + j] = running;
            running += value;
        }
        if (lane == BLOCK - 1) totals[at.block] = inclusive[lane];
    }
}

ZKDL_FN void scan_add_body(const Place& at, u32* out, const u32* before, u64 n) {
    for (u64 i = at.thread(); i < n; i += at.threads()) out[i] += before[i / (BLOCK * EACH)];
}

}  // namespace zkdl

// ---- entries -----------------------------------------------------------------------------------------------------

using zkdl::Fr;
using zkdl::i32;
using zkdl::i64;
using zkdl::u32;
using zkdl::u64;

#define ZKDL_SORT(suffix, Scalar)                                                                                 \
    ZKDL_KERNEL(msm_count_##suffix, 4,                                                                            \
                (const Scalar* scalars, u64 rows, u64 columns, u32 bits, u32 windows, u32* counts, u32* ranks),   \
                zkdl::count(at, scalars, zkdl::Batch{rows, columns, bits, windows}, counts, ranks))               \
    ZKDL_KERNEL(msm_scatter_##suffix, 4,                                                                          \
                (const Scalar* scalars, u64 rows, u64 columns, u32 bits, u32 windows, const u32* offsets,         \
                 const u32* ranks, u32* entries),                                                                 \
                zkdl::scatter(at, scalars, zkdl::Batch{rows, columns, bits, windows}, offsets, ranks, entries))
ZKDL_SORT(Fr, Fr)
ZKDL_SORT(i32, i32)
ZKDL_SORT(i64, i64)

ZKDL_PHASED(scan_blocks, 8, zkdl::ScanSlots, zkdl::SCAN_STEPS + 2, (const u32* in, u32* out, u32* totals, u64 n),
            zkdl::scan_phase(at, phase, shared, in, out, totals, n))
ZKDL_KERNEL(scan_add, 8, (u32* out, const u32* before, u64 n), zkdl::scan_add_body(at, out, before, n))
