// Sumcheck over Fr on the device: round polynomials of products of tables, and the fold between rounds.
//
// Launch contract: cuda/README.md. From the second round on, fold and round run fused: one pass over memory instead of
// two.
#include "rounds.cuh"

using zkdl::Fr;
using zkdl::u32;
using zkdl::u64;

ZKDL_KERNEL(fold_high, 4, (Fr * t, const Fr* r, u64 half), zkdl::fold(at, t, r, half, t))
ZKDL_ROUND(round_quadratic, Quadratic, 4, (const Fr* f, const Fr* g, u64 half, Fr* partials), Pairs<Fr>{f, half},
           Pairs<Fr>{g, half})
ZKDL_ROUND(fold_round_quadratic, Quadratic, 4, (Fr * f, Fr* g, const Fr* r, u64 half, Fr* partials),
           FoldedPairs<Fr>{f, half, load(r), f}, FoldedPairs<Fr>{g, half, load(r), g})
ZKDL_FINISH(finish_quadratic, Quadratic)
ZKDL_ROUND(round_cubic, Cubic, 3, (const Fr* e, const Fr* f, const Fr* g, u64 half, Fr* partials),
           Pairs<Fr>{e, half}, Pairs<Fr>{f, half}, Pairs<Fr>{g, half})
ZKDL_ROUND(fold_round_cubic, Cubic, 3, (Fr * e, Fr* f, Fr* g, const Fr* r, u64 half, Fr* partials),
           FoldedPairs<Fr>{e, half, load(r), e}, FoldedPairs<Fr>{f, half, load(r), f},
           FoldedPairs<Fr>{g, half, load(r), g})
ZKDL_FINISH(finish_cubic, Cubic)
