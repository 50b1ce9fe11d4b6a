"""Arguments that name a field and a path by their type alone; the value is never looked at.

numba tells apart NumPy scalars of different types without looking into them, which makes them the cheapest
arguments to choose a specialisation by. Which processors can run which path is the business of `paths`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from .double_sums import SummingDoubles
from .doubles import Doubles
from .ifma import Emulated, Ifma, SummingEmulated, SummingIfma
from .lanes import LaneElement
from .scalar import Scalar
from .words import FQ, FR

FR_TAG = np.uint8(0)
FQ_TAG = np.uint16(0)

# (field, path) -> tag.
TAGS: dict[tuple[str, str], Any] = {
    ("Fr", "scalar"): FR_TAG,
    ("Fq", "scalar"): FQ_TAG,
    ("Fr", "avx2"): np.int8(0),
    ("Fq", "avx2"): np.int16(0),
    ("Fr", "ifma"): np.int32(0),
    ("Fq", "ifma"): np.uint32(0),
    # For tests: the emitter of the path above on any processor.
    ("Fr", "emulated"): np.float32(0),
    ("Fq", "emulated"): np.float64(0),
}

for _element in (FR, FQ):
    _element.arithmetic = Scalar(_element)

# numba type of a tag -> element type.
BY_TAG: dict[Any, Any] = {
    types.uint8: FR,
    types.uint16: FQ,
    types.int8: LaneElement(SummingDoubles(FR, 6, 43)),
    types.int16: LaneElement(Doubles(FQ, 8, 48)),
    types.int32: LaneElement(SummingIfma(FR, 5)),
    types.uint32: LaneElement(Ifma(FQ, 8)),
    types.float32: LaneElement(SummingEmulated(FR, 5)),
    types.float64: LaneElement(Emulated(FQ, 8)),
}
