"""Small statements and witnesses for attacks, and the one way to prove them with cheating parts.

Everything here takes a *run* that a trainer (honest or not) has made, so that an adversary changes one
thing and does all the rest consistently: only the guard that is meant to catch it stands in its way.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from unittest.mock import patch

import numpy as np

from zkdl import arithmetic as za
from zkdl.errors import ProofRejected
from zkdl.protocol.chain import InitialEvidence, hand_on
from zkdl.protocol.commitment import commit_rows
from zkdl.protocol.instance import Instance
from zkdl.protocol.layout import weight_rows, weight_stack
from zkdl.protocol.ledger import Ledger
from zkdl.protocol.proof import Proof, encode
from zkdl.protocol.sampling import batches
from zkdl.protocol.schedule import PROTOCOL, run
from zkdl.protocol.settings import Settings
from zkdl.protocol.statement import Statement
from zkdl.protocol.transcript import Transcript
from zkdl.prover.channel import ProverChannel
from zkdl.prover.prove import known_rows
from zkdl.prover.randomness import OSRandomness, Randomness
from zkdl.prover.tensors import Tensors
from zkdl.prover.work import ProverWork
from zkdl.training.commitments import commit_data
from zkdl.training.trainer import Trainer
from zkdl.training.witness import Witness
from zkdl.verifier import verify

SMALL = Settings(
    activation_scale=3, gradient_scale=4, weight_scale=12, activation_bits=8, gradient_bits=8, limb_bits=8
)
"""8-bit tensors and 12-bit remainders: lookup tables of a few hundred entries."""


@dataclass
class Run:
    """A training run with the states of its weights, before step 0 up to after step T - 1.

    ``weights[t][l - 1]`` and ``biases[t][l - 1]`` are what the trainer used at step t.
    """

    statement: Statement
    witness: Witness
    weights: list[list[np.ndarray]] = field(repr=False)
    biases: list[list[np.ndarray]] = field(repr=False)

    def copy(self) -> Run:
        """A deep copy: attacks never touch a shared run."""
        return copy.deepcopy(self)

    def recommit(self) -> None:
        """Make the final commitment of the statement that of the (changed) final differences."""
        s = self.statement
        w = self.witness
        rows = weight_rows(s.widths, s.bias, s.row_bits, w.final_difference, w.bias_difference)
        final = b"".join(za.g1.to_bytes(commit_rows(rows, w.final_blinds)))
        self.statement = replace(s, final_commitment=final)


@dataclass
class Start:
    """Committed initial weights: what is added to the base of the seed, and what the statement says of it."""

    weights: list[np.ndarray]
    biases: list[np.ndarray]
    blinds: np.ndarray
    commitment: bytes
    limit: int


def after(run: Run) -> Start:
    """What an honest run hands on to the one that continues it."""
    s, w = run.statement, run.witness
    weights, biases, blinds = w.final_difference, w.bias_difference, w.final_blinds
    if w.added is not None:
        weights = [a + b for a, b in zip(weights, w.initial_difference, strict=True)]
        biases = [a + b for a, b in zip(biases, w.initial_bias_difference, strict=True)]
        blinds = za.Fr.add(blinds, w.initial_blinds)
    evidence = hand_on(s)
    return Start(_copies(weights), _copies(biases), np.array(blinds), evidence.commitment, evidence.limit)


def random_data(widths: Sequence[int], records: int, settings: Settings, seed: int = 0) -> np.ndarray:
    """Features of about unit size and one-hot labels, (records, d_0 + d_L)."""
    rng = np.random.default_rng(seed)
    one = 1 << settings.activation_scale
    features = rng.integers(-one, one + 1, (records, widths[0]))
    labels = one * np.eye(widths[-1], dtype=np.int64)[rng.integers(0, widths[-1], records)]
    return np.concatenate([features, labels], axis=1).astype(np.int64)


def train(
    widths: Sequence[int] = (3, 4, 4, 2),
    *,
    batch_size: int = 2,
    steps: int = 2,
    records: int = 4,
    bias: bool = True,
    settings: Settings = SMALL,
    learning_rate: Fraction | None = None,
    seed: int = 1,
    initial_seed: int | None = 1,
    row_bits: int = 5,
    data: np.ndarray | None = None,
    start: Start | None = None,
    first_step: int = 0,
    order: np.ndarray | None = None,
    trainer: Callable[..., Trainer] = Trainer,
    after_step: Callable[[int, Trainer], None] | None = None,
) -> Run:
    """Train and commit.

    Args:
        learning_rate: eta; by default the one whose multiplier mu is one.
        start: committed initial weights, on top of those of the seed.
        order: (T, B) records of every step; by default what the seed names.
        trainer: makes the trainer, honest by default.
        after_step: may tamper with the trainer's weights after each step.
    """
    widths = tuple(widths)
    shift = settings.weight_scale - settings.activation_scale - settings.gradient_scale
    rate = learning_rate or Fraction(batch_size, 1 << shift)
    if data is None:
        data = random_data(widths, records, settings)
    order = batches(seed, records, batch_size, steps, first_step) if order is None else order
    mu = settings.multiplier(batch_size, rate)
    added = () if start is None else ((start.weights, start.biases),)
    model = trainer(widths, bias, settings, mu, initial_seed, *added)
    witness = Witness.empty(data, widths, steps, batch_size)
    features = widths[0]
    weights, biases = [_copies(model.weights)], [_copies(model.biases)]
    for t in range(steps):
        witness.record(t, model.step(data[order[t]][:, :features], data[order[t]][:, features:]))
        if after_step is not None:
            after_step(t, model)
        weights.append(_copies(model.weights))
        biases.append(_copies(model.biases))
    witness.final_difference = [b - a for a, b in zip(weights[0], weights[-1], strict=True)]
    witness.bias_difference = [b - a for a, b in zip(biases[0], biases[-1], strict=True)]
    witness.data_blinds = za.Fr.random(records)
    rows = len(weight_stack(widths, bias, row_bits).live_rows)
    witness.final_blinds = za.Fr.random(rows)
    if start is not None:
        witness.initial_difference, witness.initial_bias_difference = start.weights, start.biases
        witness.initial_blinds = start.blinds
    statement = Statement(
        widths=widths,
        bias=bias,
        settings=settings,
        batch_size=batch_size,
        steps=steps,
        learning_rate=rate,
        seed=seed,
        initial_seed=initial_seed,
        records=records,
        row_bits=row_bits,
        data_commitment=commit_data(data, witness.data_blinds),
        final_commitment=b"",
        first_step=first_step,
        initial_commitment=b"" if start is None else start.commitment,
        initial_limit=0 if start is None else start.limit,
    )
    out = Run(statement, witness, weights, biases)
    out.recommit()
    out.statement.validate()
    return out


def _copies(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.array(a) for a in arrays]


def forge(
    statement: Statement,
    witness: Witness,
    *,
    ranges: str = "bits",
    tensors: Callable[[Instance, Witness], Tensors] = Tensors,
    work: Callable[[Instance, Tensors], ProverWork] = ProverWork,
    channel: Callable[..., ProverChannel] = ProverChannel,
    believed: Callable[[Instance], Instance] | None = None,
    randomness: Randomness | None = None,
    ledger: Callable[[ProverChannel], Ledger] = Ledger,
) -> Proof:
    """Prove without looking, with parts that may cheat.

    Args:
        tensors: what the prover lays out.
        work: what the prover computes.
        channel: how the prover talks.
        ledger: how the prover keeps its messages and relations.
        believed: makes the instance by which the prover computes, when it is not the one it claims.
    """
    public = Instance(statement, ranges)
    private = believed(public) if believed is not None else public
    laid_out = tensors(private, witness)
    known = known_rows(private, laid_out, witness)
    ch = channel(Transcript(PROTOCOL), known, randomness or OSRandomness())
    with patch("zkdl.protocol.schedule.Ledger", ledger):
        run(ch, public, work(private, laid_out))
    sections = {section: bytes(data) for section, data in ch.sections.items()}
    return Proof(encode(ranges, statement.digest(), sections))


def reason(statement: Statement, proof: Proof | bytes, initial: InitialEvidence | None = None) -> str | None:
    """Why the verifier rejects, or None when it accepts."""
    try:
        verify(statement, proof, initial=initial)
    except ProofRejected as error:
        return str(error.reason)
    return None
