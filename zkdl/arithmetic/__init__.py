"""Arithmetic on BLS12-381: fields, the group G1, multi-scalar multiplication, multilinear polynomials.

Everything takes and gives arrays: elements of Fr are `(..., 4)` uint64, of Fq `(..., 6)`, points `(n, 12)`.
"""

from . import g1, multilinear, sumcheck
from .backend import get_backend, set_backend
from .blocks import combine_blocks
from .errors import DecodeError, NotCanonical, NotInSubgroup, NotOnCurve, PointAtInfinity
from .field import Field, Fq, Fr
from .fixed_base import FixedBase
from .generators import generators
from .msm import msm, msm_rows
from .paths import cpu_paths, get_cpu_path, set_cpu_path
from .threads import get_threads, set_threads

__all__ = [
    "DecodeError",
    "Field",
    "FixedBase",
    "Fq",
    "Fr",
    "NotCanonical",
    "NotInSubgroup",
    "NotOnCurve",
    "PointAtInfinity",
    "combine_blocks",
    "cpu_paths",
    "g1",
    "generators",
    "get_backend",
    "get_cpu_path",
    "get_threads",
    "msm",
    "msm_rows",
    "multilinear",
    "set_backend",
    "set_cpu_path",
    "set_threads",
    "sumcheck",
]
