"""Runs on committed records and from committed weights: what fits, what is refused, what it costs."""

from __future__ import annotations

import stat
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zkdl
from tests.zkdl.adversaries import cases, tables
from tests.zkdl.adversaries.cases import SMALL
from zkdl import CommittedData, CommittedWeights
from zkdl.errors import FormatError, InputError, ProofRejected, RangeOverflowError, Reason
from zkdl.protocol.instance import Instance
from zkdl.protocol.report import report
from zkdl.protocol.table_kinds import parse_table, read_table
from zkdl.training.npz import pack_npz, read_npz

SCALES = {"activation_scale": SMALL.activation_scale, "activation_bits": SMALL.activation_bits}
RUN: dict[str, Any] = {"steps": 2, "batch_size": 2, "learning_rate": "1/16", "settings": SMALL}


def records(n: int = 4, features: int = 3, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, features)), rng.integers(0, classes, n)


def tensors(
    widths: tuple[int, ...] = (3, 4, 2), *, bias: bool = True, seed: int = 0
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    out = {}
    for k, (fan_in, fan_out) in enumerate(pairwise(widths)):
        out[f"{2 * k}.weight"] = rng.uniform(-0.7, 0.7, (fan_out, fan_in)).astype(np.float32)
        if bias:
            out[f"{2 * k}.bias"] = rng.uniform(-0.2, 0.2, fan_out).astype(np.float32)
    return out


@dataclass
class Case:
    data: CommittedData
    weights: CommittedWeights
    run: zkdl.Run
    proof: zkdl.Proof

    @property
    def evidence(self) -> dict[str, Any]:
        return {
            "data": (self.data.table, self.data.proof),
            "initial": (self.weights.table, self.weights.proof),
        }


@pytest.fixture(scope="module")
def case() -> Case:
    data = zkdl.commit_data(*records(), classes=2, **SCALES)
    weights = zkdl.commit_weights(tensors(), weight_scale=SMALL.weight_scale)
    run = zkdl.train(data=data, initial=weights, **RUN)
    return Case(data, weights, run, zkdl.prove(run.statement, run.witness))


def refusal(statement: zkdl.Statement, proof: Any, **evidence: Any) -> tuple[str, str]:
    with pytest.raises(ProofRejected) as error:
        zkdl.verify(statement, proof, **evidence)
    return str(error.value.reason), error.value.detail


# --- what a run takes over --------------------------------------------------------------------------------


def test_the_statement_takes_commitments_over_as_they_are(case: Case) -> None:
    statement = case.run.statement
    assert statement.data_commitment == case.data.table.commitment
    assert statement.data_ranges == "separate"
    assert statement.initial_commitment == case.weights.table.commitment
    assert statement.initial_limit == 1 << (case.weights.table.bits - 1)
    assert (statement.initial_seed, statement.row_bits) == (None, case.weights.table.row_bits)
    zkdl.verify(statement, case.proof, **case.evidence)


def test_the_run_starts_from_the_committed_weights(case: Case) -> None:
    model = zkdl.export(case.run.statement, case.run.witness)
    for end, change, start in zip(
        model.weights, case.run.witness.final_difference, case.weights.weights, strict=True
    ):
        assert np.array_equal(end - change, start)
    wanted = tensors()["0.weight"].T * 2.0**SMALL.weight_scale
    assert np.array_equal(case.weights.weights[0], np.rint(wanted))
    zkdl.verify(case.run.statement, case.proof, model, **case.evidence)


def test_an_exact_export_is_taken_exactly(case: Case, tmp_path: Path) -> None:
    model = zkdl.export(case.run.statement, case.run.witness)
    again = zkdl.commit_weights(model)
    assert all(np.array_equal(a, b) for a, b in zip(model.weights, again.weights, strict=True))
    assert again.table.scale == model.weight_scale
    model.save(tmp_path / "model.safetensors")
    from_file = zkdl.commit_weights(tmp_path / "model.safetensors")
    assert all(np.array_equal(a, b) for a, b in zip(model.biases, from_file.biases, strict=True))
    finer = zkdl.commit_weights(model, weight_scale=model.weight_scale + 2)
    assert all(np.array_equal(4 * a, b) for a, b in zip(model.weights, finer.weights, strict=True))


def test_records_are_committed_once_for_many_runs(case: Case) -> None:
    with patch("zkdl.training.commitments.commit_data", side_effect=AssertionError("committed again")):
        runs = [zkdl.train(data=case.data, hidden=(2,), seed=seed, **RUN) for seed in (1, 2)]
    assert len({run.statement.data_commitment for run in runs}) == 1
    for run in runs:
        proof = zkdl.prove(run.statement, run.witness)
        zkdl.verify(run.statement, proof, data=case.evidence["data"])


def test_a_run_on_committed_records_is_smaller(case: Case) -> None:
    statement = case.run.statement
    for ranges in ("lookup", "bits"):
        separate, inside = (
            report(Instance(replace(statement, data_ranges=value), ranges)).proof_bytes  # type: ignore[arg-type]
            for value in ("separate", "proof")
        )
        # The tree of one more sum goes down with the others; every bit is committed to.
        assert separate < inside or (ranges == "lookup" and separate == inside)
    assert report(case.data.table).proof_bytes == len(case.data.proof)
    assert report(case.weights.table).proof_bytes == len(case.weights.proof)
    assert report(case.weights.table).statistical_bits > 200


def test_resumed_runs_keep_their_committed_records(case: Case) -> None:
    after = zkdl.train(resume=case.run, steps=1)
    assert after.statement.data_ranges == "separate"
    pairs = [
        (case.run.statement, case.proof),
        (after.statement, zkdl.prove(after.statement, after.witness)),
    ]
    evidence = {"data": [case.evidence["data"]], "initial": case.evidence["initial"]}
    (link,) = zkdl.verify_chain(pairs, **evidence)
    assert (link.data, link.batches) == ("same", "continue")
    for missing, reason in (("data", Reason.DATA), ("initial", Reason.INITIAL)):
        with pytest.raises(ProofRejected) as error:
            zkdl.verify_chain(pairs, **{k: v for k, v in evidence.items() if k != missing})
        assert error.value.reason == reason
    other = zkdl.commit_data(*records(seed=1), classes=2, **SCALES)
    with pytest.raises(ProofRejected, match="no run was trained on the committed data"):
        zkdl.verify_chain(pairs, **{**evidence, "data": [*evidence["data"], (other.table, other.proof)]})


@settings(max_examples=3, deadline=None)
@given(st.data())
def test_every_honest_run_on_committed_tables_verifies(draw: st.DataObject) -> None:
    widths = tuple(draw.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4)))
    n, bias = draw.draw(st.integers(2, 5)), draw.draw(st.booleans())
    X, _ = records(n, widths[0])
    y = np.random.default_rng(1).uniform(-1, 1, (n, widths[-1]))
    data = zkdl.commit_data(X, y, **SCALES)
    weights = zkdl.commit_weights(tensors(widths, bias=bias), weight_scale=SMALL.weight_scale)
    run = zkdl.train(data=data, initial=weights, **{**RUN, "steps": draw.draw(st.integers(1, 3))})
    ranges = draw.draw(st.sampled_from(["lookup", "bits"]))
    proof = zkdl.prove(run.statement, run.witness, ranges=ranges)
    zkdl.verify(run.statement, proof, data=(data.table, data.proof), initial=(weights.table, weights.proof))


# --- what the verifier refuses ---------------------------------------------------------------------------


def test_a_separate_statement_needs_its_table(case: Case) -> None:
    initial = {"initial": case.evidence["initial"]}
    reason, detail = refusal(case.run.statement, case.proof, **initial)
    assert reason == Reason.DATA
    assert "data.json" in detail
    # This check is all that stands in the way: the proof of the run itself says nothing of ranges.
    with patch("zkdl.verifier.verify.check_data"):
        zkdl.verify(case.run.statement, case.proof, **initial)


def test_records_out_of_range_need_the_table_to_be_caught() -> None:
    """A record far out of range: the run's own proof is accepted, that of the table is not."""
    run = _run_out_of_range()
    statement = replace(run.statement, data_ranges="separate")
    proof = cases.forge(statement, run.witness, ranges="lookup")
    table = zkdl.DataTable(SMALL.activation_bits, SMALL.activation_scale, statement.data_commitment, 3, 2)
    forged = tables.forge(tables.Committed(table, run.witness.data, run.witness.data_blinds))
    assert refusal(statement, proof, data=(table, forged))[0] == Reason.MULTIPLICITY
    with patch("zkdl.verifier.verify.check_data"):
        zkdl.verify(statement, proof)
    # And with its own range argument it would not have needed one.
    inside = cases.forge(run.statement, run.witness, ranges="lookup")
    assert cases.reason(run.statement, inside) == Reason.MULTIPLICITY


def _run_out_of_range() -> cases.Run:
    """An honest computation on a record whose first feature is one too large."""
    data = cases.random_data((3, 4, 4, 2), 4, SMALL)
    data[Instance(cases.train().statement).used_records[0], 0] = 1 << (SMALL.activation_bits - 1)
    for seed in range(1, 200):
        try:
            return cases.train(data=data, initial_seed=seed)
        except RangeOverflowError:
            continue
    raise AssertionError("no seed keeps all other values in range")


DATA_CHANGES = {
    "features": "features", "outputs": "features", "bits": "activation_bits", "scale": "activation_scale",
    "commitment": "records",
}  # fmt: skip


@pytest.mark.parametrize("name", DATA_CHANGES)
def test_data_tables_that_do_not_fit_the_run(case: Case, name: str) -> None:
    table = case.data.table
    changes: dict[str, Any] = {
        "features": {"features": 2, "outputs": 3},
        "outputs": {"features": 1, "outputs": 4},
        "bits": {"bits": 9},
        "scale": {"scale": 4},
        "commitment": {"commitment": table.commitment[48:]},
    }[name]
    other = replace(table, **changes)
    evidence = {**case.evidence, "data": (other, case.data.proof)}
    reason, detail = refusal(case.run.statement, case.proof, **evidence)
    assert reason == Reason.DATA
    assert DATA_CHANGES[name] in detail


def test_another_table_of_the_same_shape(case: Case) -> None:
    other = zkdl.commit_data(*records(seed=1), classes=2, **SCALES)
    evidence = {**case.evidence, "data": (other.table, other.proof)}
    reason, detail = refusal(case.run.statement, case.proof, **evidence)
    assert (reason, detail) == (Reason.DATA, "the table commits to other records than the statement")
    mixed = {**case.evidence, "data": (case.data.table, other.proof)}
    assert refusal(case.run.statement, case.proof, **mixed)[0] == Reason.STATEMENT_MISMATCH
    # A statement whose ranges are its own is refused with a table that is not about it, too.
    plain = zkdl.train(*records(), hidden=(2,), **RUN)
    proof = zkdl.prove(plain.statement, plain.witness)
    zkdl.verify(plain.statement, proof)
    assert refusal(plain.statement, proof, data=evidence["data"])[0] == Reason.DATA


def test_tables_of_the_wrong_kind(case: Case) -> None:
    assert case.evidence == {"data": case.data.public, "initial": case.weights.public}
    for name in ("data", "initial"):
        with pytest.raises(InputError, match=r"must be \(table, proof\)"):
            zkdl.verify(case.run.statement, case.proof, **{**case.evidence, name: case.data})
    swapped = {"data": case.evidence["initial"], "initial": case.evidence["data"]}
    assert refusal(case.run.statement, case.proof, **swapped)[0] == Reason.INITIAL
    wrong = {**case.evidence, "data": case.evidence["initial"]}
    assert refusal(case.run.statement, case.proof, **wrong)[0] == Reason.DATA


@pytest.mark.parametrize("change", ["other", "scale", "limit", "layout", "seed", "none"])
def test_weights_that_do_not_fit_the_run(case: Case, change: str) -> None:
    statement, table = case.run.statement, case.weights.table
    evidence = dict(case.evidence)
    if change == "other":
        other = zkdl.commit_weights(tensors(seed=1), weight_scale=SMALL.weight_scale)
        evidence["initial"] = (other.table, other.proof)
    elif change == "scale":
        evidence["initial"] = (replace(table, scale=table.scale - 1), case.weights.proof)
    elif change == "layout":
        narrow = zkdl.commit_weights(tensors((3, 3, 2)), weight_scale=SMALL.weight_scale)
        evidence["initial"] = (narrow.table, narrow.proof)
    elif change == "limit":
        statement = replace(statement, initial_limit=table.offset - 1)
    elif change == "seed":
        statement = replace(statement, initial_seed=1)
    else:
        del evidence["initial"]
    assert refusal(statement, case.proof, **evidence)[0] == Reason.INITIAL


def test_initial_weights_out_of_range_are_caught_by_their_table(case: Case) -> None:
    good = case.weights
    rows = cases.weight_rows(
        good.table.widths, good.table.bias, good.table.row_bits, good.weights, good.biases
    )
    committed = tables.Committed(good.table, rows, good.blinds).with_entry(0, 0, good.table.offset)
    forged = tables.forge(committed)
    statement = replace(case.run.statement, initial_commitment=committed.table.commitment)
    evidence = {**case.evidence, "initial": (committed.table, forged)}
    assert refusal(statement, case.proof, **evidence)[0] == Reason.MULTIPLICITY


def test_where_ranges_are_proved_cannot_be_changed_after_proving(case: Case) -> None:
    statement = replace(case.run.statement, data_ranges="proof")
    assert refusal(statement, case.proof, **case.evidence)[0] == Reason.STATEMENT_MISMATCH


# --- arguments and files ----------------------------------------------------------------------------------


def test_arguments_that_contradict_what_is_committed(case: Case) -> None:
    X, y = records()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"X": X, "data": case.data}, "X and y come with data"),
        ({"data": case.data, "classes": 5}, "classes must be 2"),
        ({"data": "DIR"}, "data must be zkdl.CommittedData"),
        ({"X": X, "y": y, "initial": "DIR"}, "initial must be zkdl.CommittedWeights"),
        ({"data": case.data, "settings": replace(SMALL, activation_bits=7)}, "activation_bits must be 8"),
        ({"data": case.data, "initial": case.weights, "hidden": (5,)}, r"hidden must be .* \(4,\)"),
        ({"data": case.data, "initial": case.weights, "bias": False}, "bias must be"),
        ({"data": case.data, "initial": case.weights, "initial_seed": 1}, "initial_seed names other"),
        ({"X": X[:, :2], "y": y, "initial": case.weights}, "the records have 2 features"),
        ({"initial": case.weights, "resume": case.run}, "initial and resume"),
        (
            {"X": X, "y": y, "initial": case.weights, "settings": replace(SMALL, weight_scale=13)},
            "weight_scale must be 12",
        ),
        ({}, "X and y must be given"),
    ]
    for arguments, message in bad:
        with pytest.raises(InputError, match=message):
            zkdl.train(**{**RUN, **arguments})


def test_settings_are_chosen_to_fit(case: Case) -> None:
    data = zkdl.commit_data(*records(), activation_scale=9, activation_bits=14)
    weights = zkdl.commit_weights(tensors(), weight_scale=33)
    run = zkdl.train(data=data, initial=weights, steps=1, batch_size=2, learning_rate="1/4")
    chosen = run.statement.settings
    assert (chosen.activation_scale, chosen.activation_bits, chosen.weight_scale) == (9, 14, 33)


def test_weights_that_cannot_be_committed() -> None:
    good = tensors()
    bad: list[tuple[Any, dict[str, Any], str]] = [
        ({}, {}, "0.weight"),
        ({"fc1.weight": good["0.weight"]}, {}, "0.weight"),
        ({**good, "2.bias": good["2.bias"][:1]}, {}, "2.bias must have shape"),
        ({**good, "2.weight": good["2.weight"][:, :3]}, {}, "2.weight takes 3 inputs"),
        ({**good, "0.weight": good["0.weight"] * np.nan}, {}, "entry .* of 0.weight is"),
        ({**good, "0.weight": good["0.weight"].astype(np.int32)}, {}, "must be a float tensor"),
        ({**good, "0.bias": good["0.bias"] + 9}, {}, "0.bias holds .* raise bits"),
        (good, {"bits": 32}, "raise bits"),
        (good, {"bits": 62}, "bits must be between"),
        (good, {"bits": True}, "bits must be an integer"),
        (good, {"weight_scale": 60}, "weight_scale must be between"),
        (good, {"row_bits": 2}, "row_bits must be at least 3"),
        (good, {"row_bits": 15}, "row_bits must be between"),
    ]
    for model, arguments, message in bad:
        with pytest.raises(InputError, match=message):
            zkdl.commit_weights(model, **arguments)


def test_records_that_cannot_be_committed() -> None:
    X, y = records()
    for arguments, message in (
        ({"activation_scale": 15}, "activation_scale"),
        ({"activation_bits": 21}, "limb_bits must be between"),
        ({"activation_scale": 1.5}, "activation_scale must be an integer"),
        ({"test": (X[:, :2], y)}, "test has 2 features"),
        ({"classes": 1}, "labels from 0 to 0"),
    ):
        with pytest.raises(InputError, match=message):
            zkdl.commit_data(X, y, **arguments)
    with pytest.raises(InputError, match="does not fit"):
        zkdl.commit_data(X * 40, y)


def test_files_of_records(case: Case, tmp_path: Path) -> None:
    data = zkdl.commit_data(*records(), test=records(3, seed=1), **SCALES)
    place = tmp_path / "DATA"
    for _ in range(2):  # into a new directory, and over what lies there
        data.save(place)
        assert sorted(p.name for p in place.iterdir()) == ["data.json", "data.zkdl", "records.npz"]
        assert stat.S_IMODE((place / "records.npz").stat().st_mode) == 0o600
        back = CommittedData.load(place)
        assert back.table == data.table
        assert bytes(back.proof) == bytes(data.proof)
        assert np.array_equal(back.data, data.data)
        assert back.classes == 2
        assert back.test is not None
        assert np.array_equal(back.test[0], records(3, seed=1)[0])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["DATA"]
    assert "data" not in read_table(place / "data.json").settings()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        data.save(tmp_path / "file")
    case.data.table.save(place / "data.json")
    with pytest.raises(FormatError, match="does not open the commitment"):
        CommittedData.load(place)
    case.weights.table.save(place / "data.json")
    with pytest.raises(FormatError, match="expected data"):
        CommittedData.load(place)


def test_files_of_weights(case: Case, tmp_path: Path) -> None:
    case.weights.save(tmp_path / "W")
    back = CommittedWeights.load(tmp_path / "W")
    assert back.table == case.weights.table
    assert all(np.array_equal(a, b) for a, b in zip(back.biases, case.weights.biases, strict=True))
    assert stat.S_IMODE((tmp_path / "W" / "weights.npz").stat().st_mode) == 0o600
    arrays = read_npz(tmp_path / "W" / "weights.npz")
    for change, message in (
        ({"weights_1": arrays["weights_1"][:2]}, "weights must have shapes"),
        ({"weights_1": arrays["weights_1"] + 1}, "does not open the commitment"),
        ({"blinds": arrays["blinds"].astype(np.int64)}, "blinds must be"),
        ({"blinds": arrays["blinds"][:0]}, "does not open the commitment"),
        ({"more": arrays["blinds"]}, "unknown array 'more'"),
    ):
        (tmp_path / "W" / "weights.npz").write_bytes(pack_npz({**arrays, **change}))
        with pytest.raises(FormatError, match=message):
            CommittedWeights.load(tmp_path / "W")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("zkdl-data", "zkdl-statement"), "format must be one of"),
        (('"bits"', '"bit"'), "unknown key 'bit'"),
        (('"version": 1,\n', ""), "missing key 'version'"),
        (('"scale": 3', '"scale": 3.0'), "3.0 is not an integer"),
        (('"scale": 3', '"scale": -3'), "scale must be a non-negative integer"),
        (('"scale": 3', '"scale": true'), "scale must be a non-negative integer"),
        (('"commitment": "', '"commitment": "A'), "lower-case hexadecimal"),
        (("{", "["), "not valid JSON"),
    ],
)
def test_tables_are_read_strictly(case: Case, change: tuple[str, str], message: str) -> None:
    text = case.data.table.to_json()
    assert parse_table(text) == case.data.table
    assert parse_table(case.weights.table.to_json()) == case.weights.table
    assert change[0] in text
    with pytest.raises(FormatError, match=message):
        parse_table(text.replace(*change, 1))
