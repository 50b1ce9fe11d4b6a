import dataclasses
import os
import stat
import zipfile

import numpy as np
import pytest

import zkdl
from zkdl.errors import FormatError, InputError, WitnessError
from zkdl.training import Run, Witness, check_witness


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, (10, 3))
    return zkdl.train(x, np.arange(10) % 2, hidden=(4, 3), steps=3, batch_size=4, learning_rate="1/4", seed=7)


@pytest.fixture
def witness(run):
    copy = {}
    for field in dataclasses.fields(run.witness):
        value = getattr(run.witness, field.name)
        copy[field.name] = [a.copy() for a in value] if isinstance(value, list) else value.copy()
    return Witness(**copy)


def test_honest_witness_passes(run):
    check_witness(run.statement, run.witness)


def test_same_seed_same_witness_fresh_commitments(run):
    x = np.random.default_rng(5).uniform(-1, 1, (10, 3))
    again = zkdl.train(
        x, np.arange(10) % 2, hidden=(4, 3), steps=3, batch_size=4, learning_rate="1/4", seed=7
    )
    for a, b in zip(again.witness.positive, run.witness.positive, strict=True):
        assert np.array_equal(a, b)
    assert again.statement.data_commitment != run.statement.data_commitment
    assert again.statement.final_commitment != run.statement.final_commitment


def _tamper(name, index, position, change):
    def apply(witness):
        array = getattr(witness, name)
        array = array if index is None else array[index]
        array[position] += change

    return apply


def _two_cells_one_value(witness):
    """The same Z' written with the sign flipped and P out of range."""
    witness.sign[0][1, 0, 0] ^= 1
    witness.positive[0][1, 0, 0] += 2**15 * (2 * witness.sign[0][1, 0, 0] - 1)


@pytest.mark.parametrize(
    ("tamper", "relation", "step", "layer"),
    [
        (_tamper("data", None, (0, 0), 2**20), "data range", None, None),
        (_tamper("positive", 0, (0, 0, 0), 2**15), "range of P", 0, 1),
        (_tamper("positive", 1, (1, 2, 0), 1), "F2", 1, 2),
        (_tamper("sign", 2, (2, 0, 1), 2), "range of S", 2, 3),
        (_tamper("remainder", 0, (2, 3, 3), 1), "F2", 2, 1),
        (_tamper("remainder", 0, (2, 3, 3), 2**32), "range of R", 2, 1),
        (_tamper("gradient", 1, (1, 1, 1), -1), "B2", 1, 2),
        (_tamper("gradient", 0, (0, 1, 1), 2**16), "range of H'", 0, 1),
        (_tamper("gradient_remainder", 0, (0, 1, 1), 1), "B2", 0, 1),
        (_tamper("gradient_remainder", 1, (0, 1, 1), -(2**33)), "range of R'", 0, 2),
        (_tamper("final_difference", 1, (0, 0), 1), "U", None, 2),
        (_tamper("bias_difference", 2, (0,), -1), "U", None, 3),
        (_two_cells_one_value, "range of P", 1, 1),
    ],
)
def test_first_violation_is_named(run, witness, tamper, relation, step, layer):
    tamper(witness)
    with pytest.raises(WitnessError) as caught:
        check_witness(run.statement, witness)
    assert (caught.value.relation, caught.value.step, caught.value.layer) == (relation, step, layer)
    assert relation in str(caught.value)


def test_every_single_cell_matters(run, witness):
    rng = np.random.default_rng(0)
    for name in (
        "positive",
        "sign",
        "remainder",
        "gradient",
        "gradient_remainder",
        "final_difference",
        "bias_difference",
    ):
        for array in getattr(witness, name):
            where = rng.integers(array.size)
            array.flat[where] ^= 1
            with pytest.raises(WitnessError):
                check_witness(run.statement, witness, commitments=False)
            array.flat[where] ^= 1
    check_witness(run.statement, witness, commitments=False)


def test_unused_record_is_bound_by_its_commitment(run, witness):
    from zkdl.protocol.sampling import batches

    unused = sorted(set(range(10)) - set(batches(7, 10, 4, 3).ravel().tolist()))
    if not unused:
        witness.data_blinds[0], witness.data_blinds[1] = witness.data_blinds[1], witness.data_blinds[0].copy()
    else:
        witness.data[unused[0], 0] += 1
    with pytest.raises(WitnessError) as caught:
        check_witness(run.statement, witness)
    assert caught.value.relation == "data commitment"


def test_blinds_are_part_of_the_opening(run, witness):
    witness.final_blinds[0] = witness.data_blinds[0]
    with pytest.raises(WitnessError) as caught:
        check_witness(run.statement, witness)
    assert caught.value.relation == "final commitment"


def test_other_statement(run, witness):
    for change in ({"seed": 8}, {"initial_seed": 8}, {"learning_rate": "1/2"}):
        with pytest.raises(WitnessError):
            check_witness(dataclasses.replace(run.statement, **change), witness)


@pytest.mark.parametrize(
    "change",
    [
        {"data": np.zeros((9, 5), dtype=np.int64)},
        {"data": np.zeros((10, 5))},
        {"positive": []},
        {"sign": None},
        {"remainder": [np.zeros((3, 4, 4), dtype=np.int64)] * 3},
        {"final_blinds": np.zeros((1, 3), dtype=np.uint64)},
    ],
)
def test_shapes_are_checked_before_anything(run, witness, change):
    with pytest.raises(WitnessError) as caught:
        check_witness(run.statement, dataclasses.replace(witness, **change))
    assert caught.value.relation == "shape"


def test_arguments_of_the_wrong_kind(run):
    with pytest.raises(InputError, match="statement"):
        check_witness(run.witness, run.witness)
    with pytest.raises(InputError, match="witness"):
        check_witness(run.statement, {})


def test_round_trip(run, tmp_path):
    run.save(tmp_path / "run")
    again = Run.load(tmp_path / "run")
    assert again.statement == run.statement
    assert again.history == run.history
    check_witness(again.statement, again.witness)
    for field in dataclasses.fields(run.witness):
        ours, theirs = getattr(run.witness, field.name), getattr(again.witness, field.name)
        pairs = zip(ours, theirs, strict=True) if isinstance(ours, list) else [(ours, theirs)]
        for a, b in pairs:
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)
    assert stat.S_IMODE(os.stat(tmp_path / "run" / "witness.npz").st_mode) == 0o600


def test_saving_again_replaces_and_keeps_other_files(run, tmp_path):
    target = tmp_path / "run"
    run.save(target)
    (target / "notes.txt").write_text("mine")
    run.save(target)
    assert sorted(p.name for p in target.iterdir()) == [
        "history.json",
        "notes.txt",
        "statement.json",
        "witness.npz",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_failing_save_leaves_nothing(run, tmp_path, monkeypatch):
    from zkdl.training.history import History

    def full(self, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(History, "save", full)
    with pytest.raises(OSError, match="No space"):
        run.save(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_run_directory_must_not_be_a_file(run, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="is a file"):
        run.save(tmp_path / "run")


def _write(path, arrays):
    np.savez(path, **arrays)


def test_malformed_witness_files(run, tmp_path):
    good = tmp_path / "good.npz"
    run.witness.save(good)
    content = good.read_bytes()
    with np.load(good) as loaded:
        arrays = dict(loaded)
    bad = tmp_path / "bad.npz"
    for cut in (0, 1, 100, len(content) // 2, len(content) - 1):
        bad.write_bytes(content[:cut])
        with pytest.raises(FormatError):
            Witness.load(bad)
    variants = [
        {k: v for k, v in arrays.items() if k != "data"},
        {k: v for k, v in arrays.items() if k != "final_blinds"},
        {**arrays, "extra": np.zeros(1)},
        {**arrays, "positive_9": arrays["positive_1"]},
        {**arrays, "positive_1": arrays["positive_1"].astype(float)},
        {**arrays, "data_blinds": arrays["data_blinds"].astype(np.int64)},
        {**arrays, "data": np.array([None])},
    ]
    for variant in variants:
        np.savez(bad, **variant)
        with pytest.raises(FormatError):
            Witness.load(bad)


def test_header_that_promises_too_much_allocates_nothing(tmp_path):
    path = tmp_path / "huge.npz"
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1099511627776,), }"
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(FormatError, match="does not fit"):
        Witness.load(path)


def test_missing_file_is_an_operating_system_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Witness.load(tmp_path / "nothing.npz")


@pytest.mark.parametrize(("widths", "row_bits"), [((20, 33, 17, 3), 6), ((9, 16, 4), 7), ((40, 3), 7)])
def test_both_ways_of_committing_to_the_difference_agree(widths, row_bits, monkeypatch):
    from zkdl.protocol.layout import weight_rows
    from zkdl.training import commitments, run

    monkeypatch.setattr(run, "_row_bits", lambda plan: row_bits)
    rng = np.random.default_rng(1)
    done = zkdl.train(
        rng.uniform(-1, 1, (8, widths[0])), rng.integers(0, widths[-1], 8), classes=widths[-1],
        hidden=widths[1:-1], steps=2, batch_size=2, learning_rate="1/4",
    )  # fmt: skip
    statement, witness = done.statement, done.witness
    found = []
    for cheaper in (False, True):

        def forced(statement, block, difference, cheaper=cheaper):
            fits = block.size >> statement.row_bits and block.axis_vars[1] <= statement.row_bits
            return bool(cheaper and fits)

        monkeypatch.setattr(commitments, "_indirect_is_cheaper", forced)
        found.append(commitments.commit_final(statement, witness))
    rows = weight_rows(widths, True, row_bits, witness.final_difference, witness.bias_difference)
    assert found[0] == found[1] == statement.final_commitment
    assert found[0] == commitments.commit_data(rows, witness.final_blinds)


def test_the_short_way_is_taken_for_wide_layers_and_few_samples(monkeypatch):
    from zkdl.training import commitments

    taken = []
    honest = commitments._combine
    monkeypatch.setattr(commitments, "_combine", lambda *a: taken.append(1) or honest(*a))
    rng = np.random.default_rng(1)
    done = zkdl.train(
        rng.uniform(-1, 1, (4, 256)), rng.integers(0, 2, 4), hidden=(256,), steps=1, batch_size=2,
        learning_rate="1/4",
    )  # fmt: skip
    assert taken
    check_witness(done.statement, done.witness)
