// Multilinear tables on the device: eq tables, inner products, integer matrices times vectors of elements.
//
// Launch contract: cuda/README.md. Index bit i <-> variable i. Integers go in as they are; sums of integers times
// elements are kept unreduced and reduced once.
#include "reduce.cuh"
#include "wide.cuh"

namespace zkdl {

// table[b] -> table[b] (1 - r), table[b] r.
ZKDL_FN void eq_step_body(const Place& at, Fr* table, const Fr* r, u64 size) {
    const Fr factor = load(r);
    for (u64 b = at.thread(); b < size; b += at.threads()) {
        const Fr whole = load(table + b), high = mul(whole, factor);
        store(table + b + size, high);
        store(table + b, sub(whole, high));
    }
}

ZKDL_FN void outer(const Place& at, const Fr* low, const Fr* high, Fr* out, u64 size, u64 n) {
    for (u64 i = at.thread(); i < n; i += at.threads())
        store(out + i, mul(load(low + i % size), load(high + i / size)));
}

// eq of one variable less: the two values of the highest variable's factor add up to 1.
ZKDL_FN void eq_halve_body(const Place& at, Fr* eq, u64 half) {
    for (u64 i = at.thread(); i < half; i += at.threads()) store(eq + i, add(load(eq + i), load(eq + i + half)));
}

ZKDL_FN void inner(Fr* s, const Place& at, const Fr* a, const Fr* b, u64 n) {
    for (u64 i = at.thread(); i < n; i += at.threads()) s[0] = add(s[0], mul(load(a + i), load(b + i)));
}

template <class Int>
ZKDL_FN void inner(Fr* s, const Place& at, const Int* values, const Fr* b, u64 n) {
    Wide t = wide_zero();
    for (u64 i = at.thread(); i < n; i += at.threads()) add_product(t, values[i], load(b + i));
    s[0] = reduce(t);
}

ZKDL_FN void sum(Fr* s, const Place& at, const Fr* a, u64 n) {
    for (u64 i = at.thread(); i < n; i += at.threads()) s[0] = add(s[0], load(a + i));
}

// `lanes` neighbouring threads share a row; the block's tree stops where rows would mix.
template <class Int>
ZKDL_FN void matvec_phase(const Place& at, u32 phase, Slots<1>& slots, const Int* matrix, const Fr* vector, u64 rows,
                          u64 columns, u32 lanes, Fr* out) {
    const u64 row = at.thread() / lanes;
    const u32 part = at.lane % lanes;
    if (phase == 0) {
        Wide t = wide_zero();
        if (row < rows)
            for (u64 j = part; j < columns; j += lanes) add_product(t, matrix[row * columns + j], load(vector + j));
        store(slots.sum + at.lane, reduce(t));
    } else if (phase <= TREE_STEPS) {
        const u32 stride = BLOCK >> phase;
        if (stride < lanes && part < stride) {
            Fr* mine = slots.sum + at.lane;
            store(mine, add(load(mine), load(mine + stride)));
        }
    } else if (part == 0 && row < rows) {
        store(out + row, load(slots.sum + at.lane));
    }
}

// A thread takes one column over `chunk` rows, so that neighbouring threads read neighbouring entries.
template <class Int>
ZKDL_FN void vecmat(const Place& at, const Fr* vector, const Int* matrix, u64 rows, u64 columns, u64 chunk,
                    Fr* partials) {
    const u64 chunks = (rows + chunk - 1) / chunk;
    for (u64 k = at.thread(); k < chunks * columns; k += at.threads()) {
        const u64 first = k / columns * chunk, j = k % columns;
        const u64 last = first + chunk < rows ? first + chunk : rows;
        Wide t = wide_zero();
        for (u64 i = first; i < last; i++) add_product(t, matrix[i * columns + j], load(vector + i));
        store(partials + k, reduce(t));
    }
}

ZKDL_FN void sum_rows_body(const Place& at, const Fr* partials, u64 rows, u64 columns, Fr* out) {
    for (u64 j = at.thread(); j < columns; j += at.threads()) {
        Fr s = zero<ModulusFr>();
        for (u64 i = 0; i < rows; i++) s = add(s, load(partials + i * columns + j));
        store(out + j, s);
    }
}

}  // namespace zkdl

// ---- entries -----------------------------------------------------------------------------------------------------

using zkdl::Fr;
using zkdl::i32;
using zkdl::i64;
using zkdl::u32;
using zkdl::u64;

ZKDL_KERNEL(eq_step, 4, (Fr * table, const Fr* r, u64 size), zkdl::eq_step_body(at, table, r, size))
ZKDL_KERNEL(outer_Fr, 4, (const Fr* low, const Fr* high, Fr* out, u64 size, u64 n),
            zkdl::outer(at, low, high, out, size, n))
ZKDL_KERNEL(eq_halve, 4, (Fr * eq, u64 half), zkdl::eq_halve_body(at, eq, half))

#define ZKDL_SUM(name, parameters, ...)                                                                           \
    ZKDL_PHASED(name, 4, zkdl::Slots<1>, zkdl::SUM_PHASES, parameters,                                            \
                zkdl::sum_phase(at, phase, shared, partials, [&](Fr* s) { __VA_ARGS__; }))
ZKDL_SUM(inner_Fr, (const Fr* a, const Fr* b, u64 n, Fr* partials), zkdl::inner(s, at, a, b, n))
ZKDL_SUM(inner_i32, (const i32* values, const Fr* b, u64 n, Fr* partials), zkdl::inner(s, at, values, b, n))
ZKDL_SUM(inner_i64, (const i64* values, const Fr* b, u64 n, Fr* partials), zkdl::inner(s, at, values, b, n))
ZKDL_SUM(sum_Fr, (const Fr* a, u64 n, Fr* partials), zkdl::sum(s, at, a, n))
ZKDL_PHASED(finish_sum, 1, zkdl::Slots<1>, zkdl::SUM_PHASES, (const Fr* partials, u32 blocks_before, Fr* out),
            zkdl::finish_phase(at, phase, shared, partials, blocks_before, out, [](Fr*) {}))

#define ZKDL_MATRIX(Int)                                                                                          \
    ZKDL_PHASED(matvec_##Int, 4, zkdl::Slots<1>, zkdl::SUM_PHASES,                                                \
                (const Int* matrix, const Fr* vector, u64 rows, u64 columns, u32 lanes, Fr* out),                 \
                zkdl::matvec_phase(at, phase, shared, matrix, vector, rows, columns, lanes, out))                 \
    ZKDL_KERNEL(vecmat_##Int, 4,                                                                                  \
                (const Fr* vector, const Int* matrix, u64 rows, u64 columns, u64 chunk, Fr* partials),            \
                zkdl::vecmat(at, vector, matrix, rows, columns, chunk, partials))
ZKDL_MATRIX(i32)
ZKDL_MATRIX(i64)
ZKDL_KERNEL(sum_rows, 4, (const Fr* partials, u64 rows, u64 columns, Fr* out),
            zkdl::sum_rows_body(at, partials, rows, columns, out))
