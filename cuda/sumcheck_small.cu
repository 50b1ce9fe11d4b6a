// First rounds over tables of small integers, which become field elements at the first fold.
//
// Launch contract: cuda/README.md. An integer times an element is a row or two of products instead of a Montgomery
// product, and an integer takes 4 or 8 bytes instead of 32.
#define ZKDL_CALLED_MUL
#include "rounds.cuh"

using zkdl::Fr;
using zkdl::i32;
using zkdl::i64;
using zkdl::u64;

ZKDL_KERNEL(fold_high_i32, 4, (const i32* t, const Fr* r, u64 half, Fr* out), zkdl::fold(at, t, r, half, out))
ZKDL_KERNEL(fold_high_i64, 4, (const i64* t, const Fr* r, u64 half, Fr* out), zkdl::fold(at, t, r, half, out))
ZKDL_ROUND(round_quadratic_i32, Quadratic, 4, (const i32* f, const Fr* g, u64 half, Fr* partials),
           Pairs<i32>{f, half}, Pairs<Fr>{g, half})
ZKDL_ROUND(round_quadratic_i64, Quadratic, 4, (const i64* f, const Fr* g, u64 half, Fr* partials),
           Pairs<i64>{f, half}, Pairs<Fr>{g, half})
ZKDL_ROUND(fold_round_quadratic_i32, Quadratic, 4,
           (const i32* f, Fr* g, const Fr* r, u64 half, Fr* f_out, Fr* partials),
           FoldedPairs<i32>{f, half, load(r), f_out}, FoldedPairs<Fr>{g, half, load(r), g})
ZKDL_ROUND(fold_round_quadratic_i64, Quadratic, 4,
           (const i64* f, Fr* g, const Fr* r, u64 half, Fr* f_out, Fr* partials),
           FoldedPairs<i64>{f, half, load(r), f_out}, FoldedPairs<Fr>{g, half, load(r), g})
ZKDL_ROUND(round_cubic_i32, Cubic, 4, (const Fr* e, const i32* f, const i32* g, u64 half, Fr* partials),
           Pairs<Fr>{e, half}, Pairs<i32>{f, half}, Pairs<i32>{g, half})
ZKDL_ROUND(fold_round_cubic_i32, Cubic, 3,
           (Fr * e, const i32* f, const i32* g, const Fr* r, u64 half, Fr* f_out, Fr* g_out, Fr* partials),
           FoldedPairs<Fr>{e, half, load(r), e}, FoldedPairs<i32>{f, half, load(r), f_out},
           FoldedPairs<i32>{g, half, load(r), g_out})
