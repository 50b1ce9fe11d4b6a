"""The device side compiles for sm_90, and its PTX, run by an independent reader, gives the right integers."""

import functools
import os
import random
import re

import numpy as np
import pytest

from tests.zkdl.cuda.device_build import assemble, device_ptx, nvrtc_compile, nvrtc_library
from tests.zkdl.cuda.host_build import MODULI, decode, encode, from_montgomery, to_montgomery
from tests.zkdl.cuda.msm_driver import bucket_lists
from tests.zkdl.cuda.ptx_machine import UnknownInstruction, kernels
from tests.zkdl.cuda.test_field import UNARY, edge_values, expected
from tests.zkdl.cuda.test_sumcheck import P, fold_by_hand, round_by_hand, table
from zkdl.arithmetic.msm import _windows
from zkdl.cuda_sources import cuda_folder

SOURCES = sorted(p.name for p in cuda_folder().glob("*.cu"))
THREADS = 128  # BLOCK of cuda/launch.cuh
LONG = {"fraction.cu", "sumcheck_small.cu"}  # some seconds each, and no test below reads their PTX


def all_but(slow):
    """All sources, some of them in the slow tests only."""
    return [pytest.param(n, marks=pytest.mark.slow) if n in slow else n for n in SOURCES]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("device")


@pytest.fixture(scope="module")
def ptx(work):
    return functools.cache(lambda name: device_ptx(cuda_folder() / name, work))


class Skipping:
    """A kernel that skips the test where this machine's compiler emits PTX the reader was not taught."""

    def __init__(self, kernel):
        self._kernel = kernel

    def run(self, *arguments):
        try:
            self._kernel.run(*arguments)
        except UnknownInstruction as missing:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"the PTX reader does not know: {missing}")


@pytest.fixture(scope="module")
def machine(ptx):
    @functools.cache
    def read(name):
        return {entry: Skipping(kernel) for entry, kernel in kernels(ptx(name)).items()}

    return read


@pytest.mark.parametrize("name", all_but(LONG))
def test_assembles_for_sm_90(work, name):
    assert assemble(cuda_folder() / name, work)[:4] == b"\x7fELF"


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["80", "100"])
@pytest.mark.parametrize("name", SOURCES)
def test_assembles_for_older_and_newer_devices(work, name, architecture):
    assert assemble(cuda_folder() / name, work, architecture)[:4] == b"\x7fELF"


@pytest.mark.parametrize("name", all_but({*SOURCES} - {"msm.cu", "buckets.cu"}))
def test_compiles_through_nvrtc(name):
    """The way CuPy takes: headers as text, no nvcc."""
    assert nvrtc_compile(nvrtc_library(), cuda_folder() / name, "sm")[:4] == b"\x7fELF"


def test_entries_and_carry_chains(ptx):
    text = ptx("elementwise.cu")
    assert set(re.findall(r"\.entry (\w+)\(", text)) >= {
        f"{op}_{field}" for op in ("add", "sub", "mul", *UNARY) for field in MODULI
    }
    body = re.search(r"\.entry mul_Fq\(.*?\n\}", text, re.S)[0]
    # 12 rows of 12 product limbs and 12 reduction limbs, each a low and a high half; the 24 halves of the
    # first row are plain products without an addend.
    multiplies = len(re.findall(r"madc?\.(?:lo|hi)(?:\.cc)?\.u32", body))
    assert multiplies == 2 * (12 * 12 + 12 * 12) - 24


class Memory:
    """Device memory as 32-bit words; `put` hands back the byte address of an array."""

    def __init__(self):
        self.words = []

    def put(self, array):
        address = 4 * len(self.words)
        self.words += np.ascontiguousarray(array).reshape(-1).view(np.uint32).tolist()
        self.words += [0] * (-len(self.words) % 4)
        return address

    def get(self, address, rows, limbs=4):
        words = self.words[address // 4 : address // 4 + 2 * rows * limbs]
        return np.array(words, dtype=np.uint32).view(np.uint64).reshape(rows, limbs)

    def counts(self, address, n):
        return np.array(self.words[address // 4 : address // 4 + n], dtype=np.uint32)


@pytest.mark.parametrize("field", sorted(MODULI))
@pytest.mark.parametrize("op", ["add", "sub", "mul", *UNARY])
def test_device_arithmetic(machine, field, op):
    p, limbs = MODULI[field]
    edges = edge_values(field)
    rng = random.Random(f"{op} {field}")
    pairs = [(0, 0), (p - 1, p - 1), (0, p - 1), (1, p - 1)]
    pairs += [(rng.choice(edges), rng.choice(edges)) for _ in range(110)]
    pairs += [(rng.randrange(p), rng.randrange(p)) for _ in range(30)]
    n = len(pairs)
    memory = Memory()
    a, b = (memory.put(encode(side, limbs)) for side in zip(*pairs, strict=True))
    out = memory.put(np.full((n + 1, limbs), 7, dtype=np.uint64))
    machine("elementwise.cu")[f"{op}_{field}"].run(2, THREADS, memory.words, [a, b, out, n])
    got = decode(memory.get(out, n + 1, limbs))
    assert got[:n] == [expected(op, x, y, p, 2 ** (64 * limbs)) for x, y in pairs]
    assert got[n] == decode(np.full((1, limbs), 7, dtype=np.uint64))[0], "a thread past n wrote"


@pytest.mark.parametrize(("factors", "half", "blocks"), [(2, 1, 1), (2, 300, 2), (3, 130, 1), (3, 140, 2)])
def test_device_round(machine, factors, half, blocks):
    name = {2: "quadratic", 3: "cubic"}[factors]
    rng = random.Random(f"{name} {half}")
    tables = [table(rng, 2 * half) for _ in range(factors)]
    memory = Memory()
    pointers = [memory.put(to_montgomery(t)) for t in tables]
    partials = memory.put(np.zeros((blocks * (factors + 1), 4), dtype=np.uint64))
    out = memory.put(np.zeros((factors + 1, 4), dtype=np.uint64))
    code = machine("sumcheck.cu")
    code[f"round_{name}"].run(blocks, THREADS, memory.words, [*pointers, half, partials])
    code[f"finish_{name}"].run(1, THREADS, memory.words, [partials, blocks, out])
    assert from_montgomery(memory.get(out, factors + 1)) == round_by_hand(tables)


@pytest.mark.parametrize(("factors", "half"), [(2, 140), (3, 130)])
def test_device_fused_round(machine, factors, half):
    name = {2: "quadratic", 3: "cubic"}[factors]
    rng = random.Random(f"fused {name}")
    tables, r = [table(rng, 4 * half) for _ in range(factors)], rng.randrange(P)
    memory = Memory()
    pointers = [memory.put(to_montgomery(t)) for t in tables]
    challenge = memory.put(to_montgomery([r]))
    partials = memory.put(np.zeros((factors + 1, 4), dtype=np.uint64))
    out = memory.put(np.zeros((factors + 1, 4), dtype=np.uint64))
    code = machine("sumcheck.cu")
    code[f"fold_round_{name}"].run(1, THREADS, memory.words, [*pointers, challenge, half, partials])
    code[f"finish_{name}"].run(1, THREADS, memory.words, [partials, 1, out])
    folded = [fold_by_hand(t, r) for t in tables]
    assert [from_montgomery(memory.get(p, 2 * half)) for p in pointers] == folded
    assert from_montgomery(memory.get(out, factors + 1)) == round_by_hand(folded)


def test_device_fold(machine):
    rng = random.Random(3)
    half, r = 45, rng.randrange(P)
    t = table(rng, 2 * half)
    memory = Memory()
    array, challenge = memory.put(to_montgomery(t)), memory.put(to_montgomery([r]))
    machine("sumcheck.cu")["fold_high"].run(2, THREADS, memory.words, [array, challenge, half])
    assert from_montgomery(memory.get(array, 2 * half)) == fold_by_hand(t, r) + t[half:]


def test_device_sorts_digits_into_buckets(machine, host):
    """Count, scan and scatter as launched for an MSM: the buckets of the host, their entries in any order."""
    rng = random.Random(4)
    values = [0, 1, P - 1, (P - 1) // 2, (P + 1) // 2] + [rng.randrange(P) for _ in range(25)]
    scalars = to_montgomery(values)
    n, bits = len(values), 9
    windows = _windows((P - 1) // 2, bits)
    buckets = windows << (bits - 1)
    offsets, entries = bucket_lists(host, scalars[None], 1, n, bits, windows)
    memory, code = Memory(), machine("msm.cu")
    source, counts, totals = (
        memory.put(scalars),
        memory.put(np.zeros(buckets + 1, np.uint32)),
        memory.put(np.zeros(8, np.uint32)),
    )
    ranks, out = (memory.put(np.zeros(n * windows, np.uint32)) for _ in range(2))
    shape = [source, 1, n, bits, windows]
    code["msm_count_Fr"].run(1, THREADS, memory.words, [*shape, counts, ranks])
    pieces = -(-(buckets + 1) // 2048)
    code["scan_blocks"].run(pieces, THREADS, memory.words, [counts, counts, totals, buckets + 1])
    code["scan_blocks"].run(
        1, 128, memory.words, [totals, totals, memory.put(np.zeros(1, np.uint32)), pieces]
    )
    code["scan_add"].run(2, THREADS, memory.words, [counts, totals, buckets + 1])
    code["msm_scatter_Fr"].run(1, THREADS, memory.words, [*shape, counts, ranks, out])
    assert (memory.counts(counts, buckets + 1) == offsets).all()
    got = memory.counts(out, int(offsets[-1]))
    bucket = np.repeat(np.arange(buckets), np.diff(offsets))
    wanted = entries[: offsets[-1]]
    assert (got[np.lexsort((got, bucket))] == wanted[np.lexsort((wanted, bucket))]).all()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_device_inner_product_with_integers(machine, dtype):
    rng = random.Random(6)
    info = np.iinfo(dtype)
    values = [info.min, info.max, 0, -1, 1] + [rng.randrange(info.min, info.max) for _ in range(140)]
    elements = [rng.randrange(P) for _ in values]
    memory, code = Memory(), machine("multilinear.cu")
    pointers = [memory.put(np.array(values, dtype)), memory.put(to_montgomery(elements))]
    partials, out = (memory.put(np.zeros((2, 4), dtype=np.uint64)) for _ in range(2))
    kind = f"i{8 * np.dtype(dtype).itemsize}"
    code[f"inner_{kind}"].run(2, THREADS, memory.words, [*pointers, len(values), partials])
    code["finish_sum"].run(1, THREADS, memory.words, [partials, 2, out])
    assert from_montgomery(memory.get(out, 1)) == [
        sum(v * e for v, e in zip(values, elements, strict=True)) % P
    ]


def test_device_multiplicities(machine):
    values = np.array([0, 3, 3, -1, 7, 8, 3, -(2**63), 2**40], np.int64)
    memory = Memory()
    source, counts, outside = (
        memory.put(values),
        memory.put(np.zeros(8, np.uint32)),
        memory.put(np.zeros(1, np.uint32)),
    )
    machine("logup.cu")["count_i64"].run(1, THREADS, memory.words, [source, values.size, 8, counts, outside])
    assert memory.counts(counts, 8).tolist() == [1, 0, 0, 3, 0, 0, 0, 1]
    assert memory.counts(outside, 1).tolist() == [4]


@pytest.mark.parametrize(
    ("instruction", "broken"),
    [("subc.cc.u32", "sub.cc.u32"), ("madc.hi.cc.u32", "madc.lo.cc.u32"), ("addc.u32", "add.u32")],
)
def test_planted_wrong_instruction_is_caught(ptx, instruction, broken):
    p, limbs = MODULI["Fr"]
    rng = random.Random(instruction)
    pairs = [(rng.randrange(p), rng.randrange(p)) for _ in range(32)]
    memory = Memory()
    a, b = (memory.put(encode(side, limbs)) for side in zip(*pairs, strict=True))
    out = memory.put(np.zeros((32, limbs), dtype=np.uint64))
    text = ptx("elementwise.cu")
    assert instruction in text
    kernels(text.replace(instruction, broken))["mul_Fr"].run(1, THREADS, memory.words, [a, b, out, 32])
    right = [expected("mul", x, y, p, 2 ** (64 * limbs)) for x, y in pairs]
    assert decode(memory.get(out, 32, limbs)) != right
