"""The arguments one by one, against honest and cheating provers, and the public polynomials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.zkdl.adversaries import guards
from tests.zkdl.adversaries.arguments import LyingLedger, argue
from tests.zkdl.adversaries.cases import train
from tests.zkdl.arithmetic import twins
from zkdl import arithmetic as za
from zkdl.errors import Reason
from zkdl.protocol import publics
from zkdl.protocol.arguments import inner_product, random_combination, sumcheck
from zkdl.protocol.channel import MESSAGE_WIDTH, Section
from zkdl.protocol.claims import BlockPart, DataPart, batch_rows
from zkdl.protocol.commitment import commit_rows, value_base
from zkdl.protocol.instance import Instance
from zkdl.protocol.layout import Stack, weight_stack
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.opening import poly_vars
from zkdl.protocol.proof import decode, encode
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.protocol.transcript import Transcript
from zkdl.protocol.update import matrix_at
from zkdl.prover.channel import ProverChannel, SecretRows
from zkdl.prover.rounds import ProductRounds, Term
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


# Sumcheck


class _Rounds(ProductRounds):
    """Product rounds of a claim that is off by ``wrong``; one coefficient of one round is off by ``lie``."""

    def __init__(
        self, tables: dict, variables: int, eq: list[int], wrong: int, lie: int, at: int, of: int
    ) -> None:
        super().__init__(tables, [Term(1, ("f", "g"))], variables, eq)
        self._wrong, self._lie, self._at, self._of, self._count = wrong, lie, at, of, 0

    def coefficients(self, claim: int) -> list[int]:
        out = super().coefficients(claim - (0 if self._count else self._wrong))
        assert len(out) == 3
        if self._count == self._at:
            out[self._of] = (out[self._of] + self._lie) % R
        self._count += 1
        return out


def _sumcheck(
    variables: int, wrong: int = 0, lie: int = 0, at: int = 0, of: int = 2, eq: list[int] | None = None
) -> str | None:
    """A sumcheck over f g, with an eq factor in its lowest variables, on plain and on ledger channels."""
    rng = np.random.default_rng(variables)
    coordinates = [] if eq is None else eq
    tables = {name: za.Fr.from_int64(rng.integers(-9, 9, 1 << variables)) for name in "fg"}
    weights = [*twins.eq_table(coordinates)] * (1 << (variables - len(coordinates)))
    f, g = (za.Fr.to_ints(tables[name]) for name in "fg")
    true = sum(w * a * b for w, a, b in zip(weights, f, g, strict=True))

    def schedule(book) -> None:
        book.section(Section.MATMUL)
        (claim,) = book.scalars("claim", 1, lambda: [true + wrong])
        rounds = lambda: _Rounds(
            {k: t.copy() for k, t in tables.items()}, variables, coordinates, wrong, lie, at, of
        )
        point, end = sumcheck(book, "s", claim, variables, 2, rounds, coordinates)
        ends = [za.multilinear.evaluate(tables[name], point) for name in "fg"]
        book.require("end", [], end - ends[0] * ends[1] % R)

    return argue(schedule, ledger=Ledger)


@pytest.mark.parametrize("variables", [0, 1, 2, 5])
def test_sumcheck_accepts_the_sum_and_nothing_else(variables: int) -> None:
    assert _sumcheck(variables) is None
    for wrong in (1, R - 1, 1 << 200):
        assert _sumcheck(variables, wrong=wrong) == Reason.MATMUL
    for at in range(variables):
        assert _sumcheck(variables, lie=1, at=at) == Reason.MATMUL


EQ = [5, 1 << 90, R - 3, 0, 1]


@pytest.mark.parametrize(("variables", "known"), [(1, 1), (2, 1), (3, 3), (5, 2), (5, 5)])
def test_sumcheck_with_an_eq_factor(variables: int, known: int) -> None:
    eq = EQ[-known:]
    assert _sumcheck(variables, eq=eq) is None
    for wrong in (1, R - 1):
        assert _sumcheck(variables, wrong=wrong, eq=eq) == Reason.MATMUL
    for at in range(variables):
        for of in (1, 2):
            assert _sumcheck(variables, lie=1, at=at, of=of, eq=eq) == Reason.MATMUL


@settings(max_examples=20, deadline=None)
@given(st.lists(ELEMENTS, min_size=3, max_size=3))
def test_sumcheck_with_any_eq_factor(eq: list[int]) -> None:
    """Coordinates zero and one too, where one end of the round polynomial does not count."""
    assert _sumcheck(3, eq=eq) is None
    assert _sumcheck(3, wrong=1, eq=eq) == Reason.MATMUL


@pytest.mark.parametrize("coordinate", [0, 1, 1 << 70])
def test_a_round_polynomial_right_at_one_end_only(coordinate: int) -> None:
    """The claim is off by one, and the prover's polynomial by e(X) with (1 - r) e(0) + r e(1) = 1.

    For r = 0 the relation of the round sees nothing of e(1), for r = 1 nothing of e(0); that freedom is of
    no use, since what counts is e at the challenge. It can be zero there only if the challenge is known.
    """
    known = 7
    # e = lie (X - known).
    lie = pow(coordinate - known, -1, R)
    assert _sumcheck(3, wrong=1, lie=lie, of=1, eq=[3, 4, coordinate]) == Reason.MATMUL
    with guards.known_challenge(lambda label: label == b"s/r0", known):
        assert _sumcheck(3, wrong=1, lie=lie, of=1, eq=[3, 4, coordinate]) is None
        assert _sumcheck(3, wrong=2, lie=lie, of=1, eq=[3, 4, coordinate]) == Reason.MATMUL


def test_sumcheck_with_a_known_challenge_proves_any_sum() -> None:
    r = 7
    # Off by lie (X - r), which is zero at r and whose ends add up to one.
    lie = pow(1 - 2 * r, -1, R)
    assert _sumcheck(3, wrong=1, lie=lie, of=1) == Reason.MATMUL
    with guards.known_challenge(lambda label: label == b"s/r0", r):
        assert _sumcheck(3, wrong=1, lie=lie, of=1) is None
        assert _sumcheck(3, wrong=2, lie=lie, of=1) == Reason.MATMUL


# Ledger


def _ledger(
    terms: list[tuple[int, int, int]],
    values: list[int],
    error: int,
    reason=None,
    ledger: type[Ledger] = Ledger,
) -> str | None:
    target = sum(k * values[a] * values[b] for k, a, b in terms) + error

    def schedule(book) -> None:
        book.section(Section.ZKRELU)
        handles = book.scalars("values", len(values), lambda: values)
        (right,) = book.scalars("target", 1, lambda: [target])
        book.require("q", [(k, handles[a], handles[b]) for k, a, b in terms], right, reason)

    return argue(schedule, ledger=ledger)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(ELEMENTS, st.integers(0, 3), st.integers(0, 3)), max_size=5),
    st.lists(ELEMENTS, min_size=4, max_size=40),
    st.integers(1, R - 1),
)
def test_relations_between_messages(terms: list[tuple[int, int, int]], values: list[int], error: int) -> None:
    assert _ledger(terms, values, 0) is None
    assert _ledger(terms, values, error) == Reason.ACTIVATION
    assert _ledger(terms, values, error, ledger=LyingLedger) == Reason.SUMCHECK


def test_reason_of_a_relation() -> None:
    assert _ledger([(1, 0, 0)], [3], 1, Reason.MULTIPLICITY) == Reason.MULTIPLICITY


def test_long_messages_take_several_rows() -> None:
    values = list(range(1, 3 * MESSAGE_WIDTH + 2))
    terms = [(5, k, len(values) - 1 - k) for k in range(len(values))]
    assert _ledger(terms, values, 0) is None
    assert _ledger(terms, values, 1) == Reason.ACTIVATION


def _two_relations(errors: tuple[int, int], ledger: type[Ledger]) -> str | None:
    def schedule(book) -> None:
        book.section(Section.OPENING)
        a, b = book.scalars("values", 2, lambda: [5 + errors[0], 25 + errors[1]])
        book.require("first", [], a - 5)
        book.require("second", [(1, a - errors[0], a - errors[0])], b)

    return argue(schedule, ledger=ledger)


def test_relations_are_combined_with_a_challenge_nobody_knows() -> None:
    assert _two_relations((0, 0), LyingLedger) is None
    for errors in ((1, 0), (0, 1), (1, -1), (1, 1)):
        assert _two_relations(errors, LyingLedger) == Reason.SUMCHECK
    with guards.known_challenge(lambda label: label == b"ledger/combine", 1):
        # First misses by one, second by minus one the other way round: what counts is target minus terms.
        assert _two_relations((1, -1), LyingLedger) is None
        assert _two_relations((1, 1), LyingLedger) == Reason.SUMCHECK


class _MixedRows(ProverChannel):
    """Commits to one message and computes with another: an entry of the first row is off by one."""

    def message(self, label, count, values=None):
        message, entries = super().message(label, count, values)
        if label == "values":
            entries[0] = (entries[0] + 1) % R
        return message, entries


def test_entries_other_than_committed_are_refused() -> None:
    def schedule(book) -> None:
        book.section(Section.MATMUL)
        a, b = book.scalars("values", 2, lambda: [5, 6])
        book.require("sum", [(1, a, b)], 0 * a + 36)

    assert argue(schedule, ledger=Ledger) == Reason.MATMUL
    assert argue(schedule, ledger=Ledger, channel=_MixedRows) == Reason.SUMCHECK


def test_combination_with_a_known_challenge_hides_opposite_errors() -> None:
    def schedule(errors):
        def walk(book) -> None:
            book.section(Section.OPENING)
            handles = book.scalars("values", 2, lambda: [5 + errors[0], 5 + errors[1]])
            powers, total = random_combination(book, "c", handles)
            book.require("zero", [], total - 5 * sum(powers) % R)

        return walk

    assert argue(schedule((0, 0)), ledger=Ledger) is None
    assert argue(schedule((1, -1)), ledger=Ledger) == Reason.OPENING
    with guards.known_challenge(lambda label: label == b"c", 1):
        assert argue(schedule((1, -1)), ledger=Ledger) is None
        assert argue(schedule((1, 0)), ledger=Ledger) == Reason.OPENING


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
    """Three views of one functional: weights in a table, their extension at a point, the value."""
    instance, tensors = work._instance, work._tensors
    rng = np.random.default_rng(3)
    row_bits = instance.statement.row_bits
    for part in _random_parts(instance, rng):
        poly = "data" if isinstance(part, DataPart) else part.poly
        n = poly_vars(instance, poly)
        table = {f"{poly}/weights": za.Fr.zeros(1 << n)}
        work._add_weights(table, 11, part)
        weights = table[f"{poly}/weights"]
        rho = [int(v) for v in rng.integers(0, 1 << 62, n)]
        if isinstance(part, DataPart):
            eq_columns = za.multilinear.eq_table(rho[:row_bits])
            at = part.evaluate(eq_columns, za.multilinear.eq_table(rho[row_bits:]))
            values = za.Fr.from_int64(work._data_table())
        else:
            at = part.evaluate(instance.stack(poly), rho, {})
            values = za.Fr.from_int64(tensors.tables[poly].astype(np.int64))
        assert za.multilinear.evaluate(weights, rho) == 11 * at % R
        assert za.Fr.to_ints(za.Fr.inner(weights, values))[0] == 11 * tensors.evaluate([part]) % R


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
