"""The device side compiles for sm_90, and its PTX, run by an independent reader, gives the right integers."""

import functools
import os
import random
import re

import numpy as np
import pytest

from tests.zkdl.cuda.device_build import assemble, device_ptx
from tests.zkdl.cuda.host_build import MODULI, decode, encode, from_montgomery, to_montgomery
from tests.zkdl.cuda.ptx_machine import UnknownInstruction, kernels
from tests.zkdl.cuda.test_field import UNARY, edge_values, expected
from tests.zkdl.cuda.test_sumcheck import P, fold_by_hand, round_by_hand, table
from zkdl.cuda_sources import cuda_folder

SOURCES = sorted(p.name for p in cuda_folder().glob("*.cu"))
THREADS = 128  # ROUND_THREADS of cuda/sumcheck.cu


@pytest.fixture(scope="module")
def ptx(tmp_path_factory):
    work = tmp_path_factory.mktemp("ptx")
    return functools.cache(lambda name: device_ptx(cuda_folder() / name, work))


@pytest.fixture(scope="module")
def machine(ptx):
    @functools.cache
    def read(name):
        text = ptx(name)
        try:
            return kernels(text)
        except UnknownInstruction as missing:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"this compiler emits PTX that the reader does not know: {missing}")

    return read


@pytest.mark.parametrize("name", SOURCES)
def test_assembles_for_sm_90(tmp_path, name):
    assert assemble(cuda_folder() / name, tmp_path)[:4] == b"\x7fELF"


def test_entries_and_carry_chains(ptx):
    text = ptx("elementwise.cu")
    assert set(re.findall(r"\.entry (\w+)\(", text)) == {
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
        self.words += np.ascontiguousarray(array).view(np.uint32).ravel().tolist()
        self.words += [0] * (-len(self.words) % 4)
        return address

    def get(self, address, rows, limbs=4):
        words = self.words[address // 4 : address // 4 + 2 * rows * limbs]
        return np.array(words, dtype=np.uint32).view(np.uint64).reshape(rows, limbs)


@pytest.mark.parametrize("field", sorted(MODULI))
@pytest.mark.parametrize("op", ["add", "sub", "mul", *UNARY])
def test_device_arithmetic(machine, field, op):
    p, limbs = MODULI[field]
    edges = edge_values(field)
    rng = random.Random(f"{op} {field}")
    pairs = [(0, 0), (p - 1, p - 1), (0, p - 1), (1, p - 1)]
    pairs += [(rng.choice(edges), rng.choice(edges)) for _ in range(150)]
    pairs += [(rng.randrange(p), rng.randrange(p)) for _ in range(50)]
    n = len(pairs)
    memory = Memory()
    a, b = (memory.put(encode(side, limbs)) for side in zip(*pairs, strict=True))
    out = memory.put(np.full((n + 1, limbs), 7, dtype=np.uint64))
    machine("elementwise.cu")[f"{op}_{field}"].run(3, 96, memory.words, [a, b, out, n])
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
    machine("sumcheck.cu")["fold_high"].run(2, 32, memory.words, [array, challenge, half])
    assert from_montgomery(memory.get(array, 2 * half)) == fold_by_hand(t, r) + t[half:]


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
    kernels(text.replace(instruction, broken))["mul_Fr"].run(1, 32, memory.words, [a, b, out, 32])
    right = [expected("mul", x, y, p, 2 ** (64 * limbs)) for x, y in pairs]
    assert decode(memory.get(out, 32, limbs)) != right
