"""What the emitters of lanes rest on: bounds of limbs, the instructions that come out, registers."""

import random
import re
from fractions import Fraction

import numpy as np
import pytest
from llvmlite import binding, ir
from numba import njit, types
from numba.extending import intrinsic

from zkdl.arithmetic.device.assembly import Piece, emit_assembled
from zkdl.arithmetic.device.double_sums import _PRODUCTS, _SIGNED
from zkdl.arithmetic.device.lanes import LaneElement
from zkdl.arithmetic.device.tags import BY_TAG
from zkdl.arithmetic.paths import cpu_paths

KINDS = [kind.arithmetic for kind in BY_TAG.values() if isinstance(kind, LaneElement)]
DOUBLES = [kind for kind in KINDS if kind.path == "avx2"]
IFMA = [kind for kind in KINDS if kind.path == "ifma"]


def named(kinds):
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.symbol)


@named(DOUBLES)
def test_doubles_stay_exact(kind):
    """The bounds of the module's docstring, from the constants that are used."""
    n, base, p = kind.limbs, kind.base, kind.modulus
    assert kind.anchor == 1.5 * 2**52 * base
    assert kind.width <= 51
    # Operands as large as they may be, the second times the scale; carried factors up to B / 2 + 2^8.
    operand = [base] * (n - 1) + [(p >> (kind.width * (n - 1))) + 2]
    carried = base // 2 + 2**8
    p_limbs, v_limbs = [abs(int(d)) for d in kind.p], [abs(int(d)) for d in kind.v]
    assert all(d <= base // 2 for d in (*p_limbs[:-1], *v_limbs))
    assert sum(int(d) * base**k for k, d in enumerate(kind.p)) == p
    assert (sum(int(d) * base**k for k, d in enumerate(kind.v)) * p + 1) % kind.radix == 0

    def column(k, a, b):
        return sum(a[i] * b[k - i] for i in range(n) if 0 <= k - i < n)

    chains = []
    for k in range(2 * n - 1):
        product = kind.scale * column(k, operand, operand)
        reduction = column(k, [carried] * n, p_limbs) if k >= n - 1 else 0
        chains.append(product + reduction)
        terms = 2 * (n - abs(k - n + 1))
        assert terms * base // 2 <= 2**51
        if k:
            assert terms * base // 2 + Fraction(chains[k - 1], base) + 2**8 < 2**53
    assert max(chains) < base * 2**51
    assert carried * sum(v_limbs) < base * 2**51
    # Values: below p for factors below p, with what the carried limbs can make of B^n / 2.
    spread = Fraction(carried * sum(base**k for k in range(n)), kind.radix)
    assert Fraction(kind.scale * p * p, kind.radix) + spread * p + 1 < p


def test_sums_of_doubles_are_carried_in_time():
    kind = next(kind for kind in DOUBLES if hasattr(kind, "products"))
    n, base = kind.limbs, kind.base
    start = 2 * base
    # A product adds n left-overs of at most B / 2 and a chain of n products, carried down by B.
    assert start + _PRODUCTS * n * (base // 2 + base) < 2**53
    # A word adds two: its low half below B, its high half below 2^(63 - w).
    assert start + _SIGNED * (base + (base + 2 ** (63 - kind.width))) < 2**53


# The instructions of the IFMA path -------------------------------------------------------------------------


def compiled(kind, operation, operands, processor):
    """The assembly of one operation for a processor that need not be this one."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = ir.Module("probe")
    module.triple = "x86_64-unknown-linux-gnu"
    pointer = kind.held.as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer] * (operands + 1)), "probe")
    builder = ir.IRBuilder(function.append_basic_block())
    values = [builder.load(argument) for argument in function.args[1:]]
    builder.store(getattr(kind, operation)(builder, *values), function.args[0])
    builder.ret_void()
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    machine = binding.Target.from_triple(module.triple).create_target_machine(cpu=processor, opt=3)
    text = machine.emit_assembly(parsed)
    body = re.search(rf"^{kind.symbol}_{operation}:\n(.*?)^\.Lfunc_end", text, re.S | re.M).group(1)
    return [line.split()[0] for line in body.splitlines() if line.strip() and line.strip()[0] not in ".#"]


@pytest.mark.parametrize("processor", ["icelake-server", "sapphirerapids", "znver4"])
@named(IFMA)
def test_products_are_fused_multiply_adds_of_eight_lanes(kind, processor):
    """The number of instructions that the algorithm has, and none that a missing pattern would cause."""
    n = kind.limbs
    multiply = compiled(kind, "mul", 2, processor)
    assert multiply.count("vpmadd52luq") == 2 * n * n + n
    assert multiply.count("vpmadd52huq") == 2 * n * n
    square = compiled(kind, "square", 1, processor)
    assert square.count("vpmadd52luq") == n * (n + 1) // 2 + n * n + n
    assert square.count("vpmadd52huq") == n * (n + 1) // 2 + n * n
    for body in (multiply, square):
        assert not [name for name in body if name.startswith("call") or name in ("mulxq", "imulq", "vpextrq")]
        assert len(body) < 10 * n * n


# Registers -------------------------------------------------------------------------------------------------


def straight_line(seed, count):
    """A random program on small integers; operands are numbers of values, or negative constants."""
    rng = random.Random(seed)
    program = []
    for k in range(count):
        known = 8 + k
        near = range(max(0, known - 40), known)
        pick = [rng.choice(near) if rng.random() < 0.8 else -rng.randrange(1, 6) for _ in range(3)]
        program.append((rng.choice(["fma", "fadd", "fsub", "fmul", "halve"]), pick))
    return program


def run_twin(program, inputs):
    values = list(inputs)
    for name, (a, b, c) in program:
        x, y, z = (values[k] if k >= 0 else np.full(4, float(k)) for k in (a, b, c))
        result = {"fma": x + y * 0 + z, "fadd": x + y, "fsub": x - y, "fmul": x * 0 - y, "halve": x - x}[name]
        values.append(result)
    return values[-8:]


def recorded(program, constant):
    def record(trace, inputs):
        values = list(inputs)
        for name, (a, b, c) in program:
            x, y, z = (values[k] if k >= 0 else constant(float(k)) for k in (a, b, c))
            if name == "fma":
                # Multiplications by one or zero only: numbers stay small enough to be exact.
                values.append(trace.fma(y, constant(0.0), trace.fma(x, constant(1.0), z)))
            elif name == "fmul":
                values.append(trace.fsub(trace.fmul(x, constant(0.0)), y))
            elif name == "halve":
                values.append(trace.fsub(x, x))
            else:
                values.append(getattr(trace, name)(x, y))
        return values[-8:]

    return record


@pytest.mark.skipif("avx2" not in cpu_paths(), reason="needs a processor with AVX2 and FMA")
@pytest.mark.parametrize("seed", range(6))
def test_register_allotment_computes_what_was_asked(seed):
    program = straight_line(seed, 120)
    vector = ir.VectorType(ir.DoubleType(), 4)

    def constant(number):
        return ir.Constant(vector, [number] * 4)

    @intrinsic
    def run(typing_context, out, data):
        def codegen(context, builder, signature, args):
            pointers = [
                context.make_array(kind)(context, builder, value).data
                for kind, value in zip(signature.args, args, strict=True)
            ]

            def place(pointer, k):
                index = builder.gep(pointer, [ir.Constant(ir.IntType(64), 4 * k)])
                return builder.bitcast(index, vector.as_pointer())

            inputs = [builder.load(place(pointers[1], k), align=8) for k in range(8)]
            piece = Piece(recorded(program, constant), 8)
            results = emit_assembled(builder, f"probe_{seed}", inputs, piece)
            for k, value in enumerate(results):
                builder.store(value, place(pointers[0], k), align=8)
            return context.get_dummy_value()

        return types.void(out, data), codegen

    @njit
    def call(out, data):
        run(out, data)

    data = np.random.default_rng(seed).integers(-50, 50, 32).astype(np.float64)
    out = np.empty(32)
    call(out, data)
    assert (out.reshape(8, 4) == np.array(run_twin(program, list(data.reshape(8, 4))))).all()
