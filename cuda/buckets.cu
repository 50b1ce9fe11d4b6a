// Multi-scalar multiplication, second half: bucket sums, weighted sums over buckets, Horner.
//
// Launch contract: cuda/README.md. The entries of all buckets lie in one list, bucket after bucket. Each thread adds up
// an equal slice of that list, whatever the buckets' sizes, so that skewed scalars (all equal, few values) cost no
// more than random ones. A bucket that begins and ends inside a slice is written out; the sums of a slice's first and
// last bucket, which other slices may share, go to a shorter list of (bucket, sum) that is treated the same way.
#define ZKDL_CALLED_MUL
#include "curve.cuh"
#include "launch.cuh"

namespace zkdl {

constexpr u32 NO_KEY = 0xffffffffu;  // an empty place in a list of partial sums

// Where a slice leaves its sums. Runs come in order; `run` counts those finished.
struct Runs {
    Xyzz* sums;
    u32* keys;
    Xyzz* parts;
    u64 slice;
    bool whole;  // the slice is the whole list: every run is complete
    bool begun;

    ZKDL_FN void open() {
        begun = false;
        if (!whole) keys[2 * slice] = NO_KEY, keys[2 * slice + 1] = NO_KEY;
    }
    ZKDL_FN void put(u32 place, u32 bucket, const Xyzz& sum) {
        keys[2 * slice + place] = bucket;
        store(parts + 2 * slice + place, sum);
    }
    // A run that another run follows.
    ZKDL_FN void finish(u32 bucket, const Xyzz& sum) {
        if (begun || whole)
            store(sums + bucket, sum);
        else
            put(0, bucket, sum);
        begun = true;
    }
    // The last run of the slice.
    ZKDL_FN void close(u32 bucket, const Xyzz& sum) {
        if (whole)
            store(sums + bucket, sum);
        else
            put(begun ? 1 : 0, bucket, sum);
    }
};

// The bucket that holds entry k: the last one whose offset is at most k (those before it with the same offset are
// empty).
ZKDL_FN u32 bucket_of(const u32* offsets, u32 buckets, u32 k) {
    u32 low = 0, high = buckets;
    while (high - low > 1) {
        const u32 middle = low + (high - low) / 2;
        if (offsets[middle] <= k)
            low = middle;
        else
            high = middle;
    }
    return low;
}

// ---- bodies ------------------------------------------------------------------------------------------------------

ZKDL_FN void accumulate(const Place& at, const Affine* points, const u32* entries, const u32* offsets, u32 buckets,
                        u64 capacity, u32 slice, Xyzz* sums, u32* keys, Xyzz* parts) {
    const u64 total = offsets[buckets];
    for (u64 s = at.thread(); s * slice < capacity; s += at.threads()) {
        Runs runs{sums, keys, parts, s, slice >= capacity, false};
        runs.open();
        const u64 begin = s * slice, end = begin + slice < total ? begin + slice : total;
        if (begin >= end) continue;
        u32 bucket = bucket_of(offsets, buckets, (u32)begin);
        u32 limit = offsets[bucket + 1];
        Xyzz sum = infinity();
        for (u32 k = (u32)begin; k < (u32)end; k++) {
            if (k == limit) {
                runs.finish(bucket, sum);
                sum = infinity();
                while (limit <= k) limit = offsets[++bucket + 1];
            }
            add_mixed(sum, load_signed(points, entries[k]));
        }
        runs.close(bucket, sum);
    }
}

ZKDL_FN void merge(const Place& at, const u32* keys, const Xyzz* parts, u64 n, u32 slice, Xyzz* sums, u32* keys_out,
                   Xyzz* parts_out) {
    for (u64 s = at.thread(); s * slice < n; s += at.threads()) {
        Runs runs{sums, keys_out, parts_out, s, slice >= n, false};
        runs.open();
        const u64 begin = s * slice, end = begin + slice < n ? begin + slice : n;
        u32 bucket = NO_KEY;
        Xyzz sum = infinity();
        for (u64 k = begin; k < end; k++) {
            const u32 key = keys[k];
            if (key == NO_KEY) continue;
            if (key != bucket) {
                if (bucket != NO_KEY) runs.finish(bucket, sum);
                bucket = key;
                sum = infinity();
            }
            add_called(sum, load(parts + k));
        }
        if (bucket != NO_KEY) runs.close(bucket, sum);
    }
}

// The weighted sum of a set's B bucket sums S[b], weight b + 1, is their sum plus 2^k T[k] over the bits k, where
// T[k] sums the S[b] whose b has bit k. Array 0 is S; each step halves all arrays by adding upper to lower half, and
// splits off array 0's upper half, which is what the highest bit left is still to sum. 2 B additions in all.
ZKDL_FN void fold_buckets(const Place& at, const Xyzz* in, u64 sets, u32 arrays, u64 half, Xyzz* out) {
    const u64 each = (arrays + 1) * half;
    for (u64 i = at.thread(); i < sets * each; i += at.threads()) {
        const u64 set = i / each, array = i % each / half, j = i % half;
        const bool split = array == arrays;
        const Xyzz* from = in + (set * arrays + (split ? 0 : array)) * 2 * half + j;
        Xyzz sum = load(from + half);
        if (!split) add_called(sum, load(from));
        store(out + i, sum);
    }
}

// After bits - 1 steps a set has `bits` single points: the plain sum, then T[bits - 2], ..., T[0].
ZKDL_FN void horner(const Place& at, const Xyzz* planes, u64 groups, u32 windows, u32 bits, Xyzz* out) {
    for (u64 g = at.thread(); g < groups; g += at.threads()) {
        Xyzz sum = infinity();
        for (u32 window = windows; window-- > 0;) {
            const Xyzz* set = planes + (g * windows + window) * bits;
            sum = twice_called(sum);  // the top bit of a digit: no bucket has it
            for (u32 place = 1; place < bits; place++) {
                sum = twice_called(sum);
                add_called(sum, load(set + place));
            }
            add_called(sum, load(set));
        }
        store(out + g, sum);
    }
}

}  // namespace zkdl

// ---- entries -----------------------------------------------------------------------------------------------------

using zkdl::Affine;
using zkdl::u32;
using zkdl::u64;
using zkdl::Xyzz;

ZKDL_KERNEL(msm_accumulate, 3,
            (const Affine* points, const u32* entries, const u32* offsets, u32 buckets, u64 capacity, u32 slice,
             Xyzz* sums, u32* keys, Xyzz* parts),
            zkdl::accumulate(at, points, entries, offsets, buckets, capacity, slice, sums, keys, parts))
ZKDL_KERNEL(msm_merge, 2,
            (const u32* keys, const Xyzz* parts, u64 n, u32 slice, Xyzz* sums, u32* keys_out, Xyzz* parts_out),
            zkdl::merge(at, keys, parts, n, slice, sums, keys_out, parts_out))
ZKDL_KERNEL(msm_fold_buckets, 2, (const Xyzz* in, u64 sets, u32 arrays, u64 half, Xyzz* out),
            zkdl::fold_buckets(at, in, sets, arrays, half, out))
ZKDL_KERNEL(msm_horner, 2, (const Xyzz* planes, u64 groups, u32 windows, u32 bits, Xyzz* out),
            zkdl::horner(at, planes, groups, windows, bits, out))
