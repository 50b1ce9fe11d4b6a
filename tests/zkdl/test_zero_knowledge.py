"""Zero knowledge: a simulator without a witness, and what must not be in a file."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.zkdl.adversaries import chains, files, simulator
from tests.zkdl.adversaries.cases import Run, forge, reason, train
from zkdl import arithmetic as za
from zkdl.protocol.chain import InitialEvidence
from zkdl.protocol.channel import Section
from zkdl.protocol.commitment import commit_rows, row_bases, value_base
from zkdl.protocol.instance import Instance
from zkdl.protocol.transcript import FR_MODULUS as R
from zkdl.prover.randomness import UnsafeSeededRandomness
from zkdl.prover.tensors import Tensors

RANGES = ["bits", "lookup"]


@pytest.fixture(scope="module")
def run() -> Run:
    return train()


def _proof(run: Run, ranges: str = "bits", randomness: object = None) -> tuple[bytes, list[files.Message]]:
    proof = forge(
        run.statement, run.witness, ranges=ranges, channel=files.TracedChannel, randomness=randomness
    )
    return bytes(proof), list(files.TracedChannel.trace)


def _parts(proof: bytes, trace: list[files.Message], *, points: bool) -> list[bytes]:
    size = 48 if points else 32
    out = []
    for message in trace:
        if message.points == points:
            raw = files.message_bytes(proof, message)
            out += [raw[k : k + size] for k in range(0, len(raw), size)]
    return out


class _NoBlinding:
    """Blinding factors and masks that are all zero."""

    def elements(self, count: int) -> np.ndarray:
        return za.Fr.zeros(count)


@pytest.mark.parametrize("ranges", RANGES)
@pytest.mark.parametrize("resumed", [False, True])
def test_a_simulator_without_witness_satisfies_every_equation(run: Run, ranges: str, resumed: bool) -> None:
    """Even of a statement whose commitments nobody can open, initial weights included."""
    if resumed:
        run = chains.honest()[1]
    statement = run.statement
    for name in ("data_commitment", "final_commitment", "initial_commitment"):
        count = len(getattr(statement, name)) // 48
        if count:
            random = b"".join(za.g1.to_bytes(simulator.random_points(count)))
            statement = replace(statement, **{name: random})
    s = statement
    start = InitialEvidence(s.initial_commitment, s.initial_limit, s.widths, s.bias, s.row_bits)
    evidence = start if resumed else None
    proof, challenges = simulator.simulate(statement, ranges)
    assert reason(statement, proof, evidence) is not None
    with simulator.programmed(challenges):
        assert reason(statement, proof, evidence) is None
    # The simulated file has the form of an honest one.
    honest, _ = _proof(run, ranges)
    assert [len(c) for _, c in files.split(proof)[1]] == [len(c) for _, c in files.split(honest)[1]]
    # Programming is what does it: with one challenge changed it is no proof.
    with simulator.programmed([*challenges[:5], 1 + challenges[5] % (R - 1), *challenges[6:]]):
        assert reason(statement, proof, evidence) is not None


def test_commitments_of_equal_tensors_differ(run: Run) -> None:
    again = train()
    for name in ("data_commitment", "final_commitment"):
        ours, theirs = getattr(run.statement, name), getattr(again.statement, name)
        points = [c[k : k + 48] for c in (ours, theirs) for k in range(0, len(c), 48)]
        assert len(set(points)) == len(points)
    rows = np.zeros((3, 8), dtype=np.int64)
    committed = za.g1.to_bytes(commit_rows(rows, za.Fr.random(3)))
    assert len(set(committed)) == 3


@pytest.mark.parametrize("ranges", RANGES)
@pytest.mark.parametrize("resumed", [False, True])
def test_two_proofs_of_one_witness_share_nothing(run: Run, ranges: str, resumed: bool) -> None:
    if resumed:
        run = chains.honest()[1]
    proofs = [_proof(run, ranges) for _ in range(2)]
    for points in (True, False):
        both = [part for proof, trace in proofs for part in _parts(proof, trace, points=points)]
        repeated = [part for part, count in Counter(both).items() if count > 1]
        assert not repeated
    statement = run.statement.data_commitment + run.statement.final_commitment
    statement += run.statement.initial_commitment
    public = {statement[k : k + 48] for k in range(0, len(statement), 48)}
    for proof, trace in proofs:
        assert public.isdisjoint(_parts(proof, trace, points=True))


def _leaks(run: Run, ranges: str, randomness: object = None) -> list[str]:
    """Witness integers and fixed functions of them that occur in a proof file."""
    proof, trace = _proof(run, ranges, randomness)
    points, scalars = set(_parts(proof, trace, points=True)), _parts(proof, trace, points=False)
    out = []
    instance = Instance(run.statement, ranges)
    tensors = Tensors(instance, run.witness)
    for poly in ("cells", instance.range_poly, *(name for name in instance.known if name != "data")):
        rows = instance.stack(poly).rows(tensors.tables[poly])
        plain = za.g1.to_bytes(za.msm_rows(row_bases(rows.shape[1]), np.ascontiguousarray(rows)))
        out += [f"unblinded row of {poly}" for row in plain if row in points]
    plain = za.g1.to_bytes(za.msm_rows(row_bases(tensors.data.shape[1]), tensors.data))
    out += ["unblinded record" for row in plain if row in points]
    small = np.arange(-1 << 12, 1 << 12)
    multiples = za.g1.to_bytes(za.msm_rows(value_base(), small.reshape(-1, 1)[small != 0]))
    out += ["unblinded small value" for point in multiples if point in points]
    for raw in scalars:
        value = int.from_bytes(raw, "little")
        if min(value, R - value) < 1 << 128:
            out.append("small scalar")
    return out


@pytest.mark.parametrize("ranges", RANGES)
def test_no_witness_value_nor_fixed_function_of_it_is_in_the_file(run: Run, ranges: str) -> None:
    assert _leaks(run, ranges) == []
    assert _leaks(chains.honest()[1], ranges) == []
    # The same search finds a prover that forgets to blind.
    found = set(_leaks(run, ranges, _NoBlinding()))
    assert {"unblinded row of cells", "small scalar"} <= found


def _chi_square(counts: np.ndarray) -> float:
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum())


def _buckets(scalars: list[bytes]) -> dict[str, np.ndarray]:
    values = [int.from_bytes(raw, "little") for raw in scalars]
    return {
        "lowest bits": np.bincount([v % 16 for v in values], minlength=16),
        "size": np.bincount([v * 16 // R for v in values], minlength=16),
        "middle bits": np.bincount([(v >> 120) % 16 for v in values], minlength=16),
    }


LIMIT = 75.0
"""A chi-square variable with 15 degrees of freedom exceeds this with probability below 1e-9."""


def test_clear_scalars_look_uniform_whatever_the_witness() -> None:
    """A distinguisher that counts: for two witnesses, and for the answers of every argument apart."""
    answers: dict[str, list[bytes]] = {}
    for initial_seed, k in itertools.product((1, 2), range(10)):
        run = train((3, 3, 2), initial_seed=initial_seed, bias=initial_seed == 1)
        proof, trace = _proof(run, "lookup", UnsafeSeededRandomness(100 * initial_seed + k))
        for message in trace:
            if not message.points:
                raw = files.message_bytes(proof, message)
                parts = [raw[j : j + 32] for j in range(0, len(raw), 32)]
                for name in (f"witness {initial_seed}", str(message.section), message.label.split("/")[-1]):
                    answers.setdefault(name, []).extend(parts)
    assert len(answers["witness 1"]) >= 160
    for name, scalars in answers.items():
        if len(scalars) >= 160:
            for statistic, counts in _buckets(scalars).items():
                assert _chi_square(counts) < LIMIT, (name, statistic)
    # The statistic has power: small answers are noticed.
    small = [(v * 3).to_bytes(32, "little") for v in range(200)]
    assert _chi_square(_buckets(small)["size"]) > LIMIT


def test_reproducible_randomness_is_for_tests_only(run: Run) -> None:
    first, _ = _proof(run, "bits", UnsafeSeededRandomness(5))
    again, _ = _proof(run, "bits", UnsafeSeededRandomness(5))
    other, _ = _proof(run, "bits", UnsafeSeededRandomness(6))
    assert first == again
    assert files.section(first, Section.COMMITMENTS) != files.section(other, Section.COMMITMENTS)
