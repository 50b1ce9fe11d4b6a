"""The arguments one by one, against honest and cheating provers, and the public polynomials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.adversaries import guards
from tests.zkdl.adversaries.arguments import argue
from tests.zkdl.adversaries.cases import train
from tests.zkdl.arithmetic import twins
from zkdl import arithmetic as za
from zkdl.errors import Reason
from zkdl.protocol import publics
from zkdl.protocol.arguments import inner_product
from zkdl.protocol.channel import Section
from zkdl.protocol.claims import BlockPart, DataPart, batch_rows
from zkdl.protocol.commitment import commit_rows, value_base
from zkdl.protocol.instance import Instance
from zkdl.protocol.layout import Stack, weight_stack
from zkdl.protocol.opening import poly_vars
from zkdl.protocol.proof import decode, encode
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.transcript import Transcript
from zkdl.protocol.update import matrix_at
from zkdl.prover.channel import SecretRows
from zkdl.prover.tensors import Tensors
from zkdl.prover.work import ProverWork

ELEMENTS = st.integers(0, R - 1) | st.integers(0, 3)


def mle(table: list[int], point: list[int]) -> int:
    """The multilinear extension by its definition."""
    total = 0
    for index, value in enumerate(table):
        weight = 1
        for k, x in enumerate(point):
            weight = weight * (x if index >> k & 1 else 1 - x) % R
        total += value * weight
    return total % R


def _bits(index: int, variables: int) -> list[int]:
    return [index >> k & 1 for k in range(variables)]


# Inner product


def _inner_product(
    length: int, columns: int, error: int = 0, in_value: int = 0, swap: bool = False
) -> str | None:
    """Open one committed row; ``in_value`` hides a multiple of the value base in its commitment."""
    rng = np.random.default_rng(length)
    row = rng.integers(-1 << 20, 1 << 20, (1, columns))
    blinds = za.Fr.random(1)
    points = commit_rows(row, blinds)
    if in_value:
        points = za.g1.add(points, za.g1.mul(value_base(), za.Fr.from_ints([in_value])))
    weights = za.Fr.random(length)
    one = za.Fr.ones(1)
    true = za.Fr.to_ints(za.Fr.inner(za.Fr.from_int64(row[0]), weights[:columns]))[0]
    if swap:
        row = row[:, ::-1].copy()

    def schedule(ch) -> None:
        ch.section(Section.OPENING)
        (claim,) = ch.scalars("claim", 1, lambda: [true + error])
        vector = ch.combine(ch.known_rows("data"), one)
        inner_product(ch, Reason.DATA, "ip", vector, weights, claim)

    return argue(
        schedule, rows=SecretRows(row, blinds), points=points, row_bits=max(length, 2).bit_length() - 1
    )


@pytest.mark.parametrize(("length", "columns"), [(1, 1), (2, 2), (4, 3), (16, 16), (32, 17)])
def test_inner_product(length: int, columns: int) -> None:
    assert _inner_product(length, columns) is None
    assert _inner_product(length, columns, error=1) == Reason.DATA
    if columns > 1:
        assert _inner_product(length, columns, swap=True) == Reason.DATA


def test_inner_product_needs_its_base_challenge() -> None:
    """A row commitment with a share of the value base could shift its opening, were the base known."""
    for shift in (1, 1 << 100):
        assert _inner_product(4, 4, error=-shift, in_value=shift) == Reason.DATA
        with guards.known_challenge(lambda label: label == b"ip/base", 1):
            # The prover's fold does not know of the shift: it cancels in V + base * C.
            assert _inner_product(4, 4, error=-shift, in_value=shift) is None


# Transcript


def test_transcript_binds_labels_lengths_and_order() -> None:
    def challenge(*messages: tuple[bytes, bytes]) -> int:
        transcript = Transcript(b"p")
        for label, data in messages:
            transcript.absorb(label, data)
        return transcript.challenge(b"c")

    drawn = [
        challenge(),
        challenge((b"", b"")),
        challenge((b"a", b"bc")),
        challenge((b"ab", b"c")),
        challenge((b"a", b"b"), (b"", b"c")),
        challenge((b"a", b"b"), (b"a", b"c")),
        challenge((b"a", b"c"), (b"a", b"b")),
        challenge((b"a", b"bc"), (b"", b"")),
    ]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= c < R for c in drawn)
    one, other = Transcript(b"p"), Transcript(b"q")
    assert one.challenge(b"c") != other.challenge(b"c")
    # Squeezing is not absorbing, and a squeeze moves the state.
    absorbed, squeezed = Transcript(b"p"), Transcript(b"p")
    absorbed.absorb(b"c", b"")
    squeezed.challenge(b"c")
    assert absorbed.challenge(b"d") != squeezed.challenge(b"d")


def test_transcript_is_pinned() -> None:
    transcript = Transcript(b"pinned")
    transcript.absorb(b"label", bytes(range(10)))
    assert transcript.challenge(b"c") == PINNED


PINNED = 0x527F52FE13117D875C5312037748E6575F6459B12780AFC0EA286F35FDD4963E


# Public polynomials

SIZES = st.integers(0, 4)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_public_polynomials_are_the_extensions_of_their_indicators(data) -> None:
    n = data.draw(SIZES)
    a = data.draw(st.lists(ELEMENTS, min_size=n, max_size=n))
    b = data.draw(st.lists(ELEMENTS, min_size=n, max_size=n))
    count, index = data.draw(st.integers(0, 1 << n)), data.draw(st.integers(0, (1 << n) - 1))
    assert publics.prefix(a, count) % R == mle([int(i < count) for i in range(1 << n)], a)
    assert publics.eq_index(a, index) == mle([int(i == index) for i in range(1 << n)], a)
    assert publics.eq(a, b) == mle([mle([int(i == j) for i in range(1 << n)], a) for j in range(1 << n)], b)
    less = [mle([int(i < j) for i in range(1 << n)], a) for j in range(1 << n)]
    assert publics.less_than(a, b) == mle(less, b)
    assert twins.eq_table(a) == za.Fr.to_ints(za.multilinear.eq_table(a))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_matrices_at_points(rows: int, columns: int, data) -> None:
    matrix = np.array(
        data.draw(
            st.lists(
                st.lists(st.integers(-(1 << 61), 1 << 61), min_size=columns, max_size=columns),
                min_size=rows,
                max_size=rows,
            )
        ),
        dtype=np.int64,
    )
    n, m = (rows - 1).bit_length(), (columns - 1).bit_length()
    x = data.draw(st.lists(ELEMENTS, min_size=n, max_size=n))
    y = data.draw(st.lists(ELEMENTS, min_size=m, max_size=m))
    padded = np.zeros((1 << n, 1 << m), dtype=object)
    padded[:rows, :columns] = matrix
    assert matrix_at(matrix, x, y) == mle([int(v) for v in padded.reshape(-1)], [*y, *x])


# Layout and claims

SHAPES = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 5), st.integers(0, 1 << 30))
def test_stacks_keep_every_block_and_commit_every_value(shapes: list, row_bits: int, seed: int) -> None:
    stack = Stack.build([((str(k),), shape) for k, shape in enumerate(shapes)], row_bits)
    rng = np.random.default_rng(seed)
    values = {(str(k),): rng.integers(1, 99, shape) for k, shape in enumerate(shapes)}
    table = stack.table(values)
    assert len(table) == 1 << stack.num_vars
    taken = np.zeros(len(table), dtype=bool)
    point = [int(v) for v in rng.integers(0, 1 << 62, stack.num_vars)]
    field_table = za.Fr.from_int64(table)
    for block in stack.blocks:
        assert block.offset % block.size == 0
        part = slice(block.offset, block.offset + block.size)
        assert not taken[part].any()
        taken[part] = True
        unpadded = table[part].reshape([1 << v for v in block.axis_vars])
        assert np.array_equal(unpadded[tuple(slice(0, n) for n in block.shape)], values[block.name])
        # A block at a point is the stack at that point followed by the block's address.
        n = block.num_vars
        address = _bits(block.offset >> n, stack.num_vars - n)
        inside = za.multilinear.evaluate(field_table[part], point[:n])
        assert inside == za.multilinear.evaluate(field_table, [*point[:n], *address])
    assert not table[~taken].any()
    width = 1 << row_bits
    dead = np.setdiff1d(np.arange(len(table) // width), stack.live_rows)
    assert not table.reshape(-1, width)[dead].any()
    assert np.array_equal(stack.rows(table), table.reshape(-1, width)[stack.live_rows])


def test_weight_stacks_are_part_of_the_format() -> None:
    stack = weight_stack((3, 4, 2), True, 4)
    assert [(b.name, b.shape, b.offset) for b in stack.blocks] == [
        (("weight", 1), (3, 4), 0),
        (("weight", 2), (4, 2), 16),
        (("bias", 1), (4,), 24),
        (("bias", 2), (2,), 28),
    ]


@pytest.fixture(scope="module", params=["bits", "lookup"])
def work(request) -> ProverWork:
    run = train(batch_size=3, steps=3, records=5)
    instance = Instance(run.statement, request.param)
    return ProverWork(instance, Tensors(instance, run.witness))


def _random_parts(instance: Instance, rng: np.random.Generator) -> list[BlockPart | DataPart]:
    def point(n: int) -> tuple[int, ...]:
        return tuple(int(v) for v in rng.integers(0, 1 << 62, n))

    out: list[BlockPart | DataPart] = []
    for poly in ("cells", instance.range_poly, "final"):
        stack = instance.stack(poly)
        blocks = [stack.blocks[int(k)] for k in rng.integers(0, len(stack.blocks), 3)]
        out += [BlockPart(poly, b.name, int(rng.integers(1 << 62)), point(b.num_vars)) for b in blocks]
        out.append(BlockPart(poly, None, 3, point(stack.num_vars)))
    rows = batch_rows(instance, point(instance.batch_vars), point(instance.step_vars))
    out.append(DataPart(5, rows, 0, 3, point(2)))
    out.append(DataPart(7, rows, 3, 2, point(1)))
    return out


def test_parts_weigh_tables_as_they_evaluate(work: ProverWork) -> None:
    """Three views of one functional: its value, its weights in the opening's rounds, their extension."""
    instance, tensors = work._instance, work._tensors
    rng = np.random.default_rng(3)
    row_bits = instance.statement.row_bits
    for part in _random_parts(instance, rng):
        poly = "data" if isinstance(part, DataPart) else part.poly
        rho = [int(v) for v in rng.integers(0, 1 << 62, poly_vars(instance, poly))]
        if isinstance(part, DataPart):
            eq_columns = za.multilinear.eq_table(rho[:row_bits])
            at = part.evaluate(eq_columns, za.multilinear.eq_table(rho[row_bits:]))
        else:
            at = part.evaluate(instance.stack(poly), rho, {})
        rounds = work.opening_rounds([(11, [part])], [poly])
        claim = 11 * tensors.evaluate([part]) % R
        for challenge in reversed(rho):
            c0, c1, c2 = rounds.coefficients(claim)
            assert (2 * c0 + c1 + c2) % R == claim
            claim = (c0 + c1 * challenge + c2 * challenge**2) % R
            rounds.bind(challenge)
        assert claim == 11 * at * work.opening_value(poly) % R


def test_batch_rows_are_the_weights_of_all_slots_of_a_record(work: ProverWork) -> None:
    instance = work._instance
    b_point, t_point = [3, 1 << 90], [R - 5, 77]
    rows = za.Fr.to_ints(batch_rows(instance, b_point, t_point))
    for position, record in enumerate(instance.used_records):
        total = 0
        for t, b in np.argwhere(instance.batch_records == record):
            total += publics.eq_index(b_point, int(b)) * publics.eq_index(t_point, int(t))
        assert rows[position] == total % R


def test_real_is_the_extension_of_unpadded_entries(work: ProverWork) -> None:
    instance = work._instance
    widths, steps, batch = instance.widths, 3, 3
    point = [5, 1 << 80, 9, 11, R - 1, 13]
    table = [
        int(b < batch and t < steps and j < widths[2]) for j in range(4) for t in range(4) for b in range(4)
    ]
    assert instance.real(point[:2], point[2:4], point[4:], 2) == mle(table, point)


def test_padding_of_real_tensors_is_zero(work: ProverWork) -> None:
    cells = work._tensors.tables["cells"]
    for block in work._instance.cells.blocks:
        padded = cells[block.offset : block.offset + block.size].reshape([1 << v for v in block.axis_vars])
        inner = np.zeros(padded.shape, dtype=bool)
        inner[tuple(slice(0, n) for n in block.shape)] = True
        assert not padded[~inner].any()


def test_envelopes_round_trip() -> None:
    contents = {section: bytes([k]) * k for k, section in enumerate(Section)}
    envelope = decode(encode("lookup", b"d" * 32, contents))
    assert (envelope.ranges, envelope.statement_digest, envelope.sections) == (
        "lookup",
        b"d" * 32,
        contents,
    )
