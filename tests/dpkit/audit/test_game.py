"""The adaptive game: what adversaries see, what they may play, what mechanisms under test are handed."""

import numpy as np
import pytest

import dpkit
from dpkit.audit import (
    Adversary,
    Challenge,
    Regular,
    Stop,
    adapt,
    audit_stream,
    boundary,
    each,
    feedback,
    fixed,
    follower,
    patient,
    planted,
    play,
    play_many,
    restart,
    shipped,
    standard_adversaries,
    tracing,
)
from dpkit.audit import features as game_features
from dpkit.audit.adapters import largest_sum, running_counts, running_sum

ZERO = dpkit.ZCDP(0.5, "zero-out")


class Echo:
    """Answers with the element itself, and remembers what it was fed."""

    def __init__(self):
        self.fed = []

    def step(self, x):
        self.fed.append(x)
        return x


def echo(**settings):
    return adapt(Echo, promises=settings.pop("promises", ZERO), **settings)


def test_the_mechanism_gets_the_element_of_its_side_and_the_adversary_sees_every_answer():
    seen = []

    def adversary(answers):
        seen.append(list(answers))
        return Challenge(1, 0) if len(answers) == 1 else Regular(0.25)

    left, right = (play(echo(), adversary, side, steps=3) for side in ("left", "right"))
    assert left.answers == (0.25, 1.0, 0.25)
    assert right.answers == (0.25, 0.0, 0.25)
    assert left.moves == right.moves == (Regular(0.25), Challenge(1.0, 0.0), Regular(0.25))
    assert seen[:3] == [[], [0.25], [0.25, 1.0]]


def test_stop_ends_one_game_and_leaves_the_others():
    def adversary(answers):
        return Stop() if answers and answers[0] > 0.5 else Regular(0.0) if answers else Challenge(1, 0)

    plays = play_many(echo(), each(adversary, 4), 3, "left")
    assert np.isfinite(plays.answers[:, 0]).all()
    assert np.isnan(plays.answers[:, 1:3]).all()
    assert np.isfinite(play_many(echo(), each(adversary, 4), 3, "right").answers).all()


@pytest.mark.parametrize(
    ("left", "right", "promises", "message"),
    [
        ([1, 1, 0], [0, 0, 0], ZERO, "changes=2"),
        ([1, 0, 0], [0.5, 0, 0], ZERO, "neutral element 0"),
        ([1, 0, 1], [0.5, 0, 0], dpkit.ZCDP(0.5, "replace"), "changes=2"),
    ],
)
def test_streams_that_are_no_neighbours_are_refused(left, right, promises, message):
    with pytest.raises(dpkit.ArgumentError, match=message):
        play_many(echo(promises=promises), fixed(left, right), 5, "left")


def test_replacement_and_user_level_are_allowed_where_promised():
    replace = dpkit.ZCDP(0.5, "replace")
    assert play_many(echo(promises=replace), fixed([1, 0], [0.5, 0]), 2, "left").runs == 2
    assert play_many(echo(changes=2), fixed([1, 1, 0], [0, 0, 0]), 2, "left").runs == 2


def test_arguments_are_checked():
    with pytest.raises(dpkit.ArgumentError, match="side"):
        play_many(echo(), fixed([1], [0]), 2, "middle")
    with pytest.raises(dpkit.ArgumentError, match="one shape"):
        fixed([1, 0], [0])
    with pytest.raises(dpkit.ArgumentError, match="runs"):
        audit_stream(echo(), runs=10)
    with pytest.raises(dpkit.ArgumentError, match="at least one adversary"):
        audit_stream(echo(), [])
    with pytest.raises(dpkit.ArgumentError, match="confidence"):
        audit_stream(echo(), confidence=1.0)
    with pytest.raises(dpkit.ArgumentError, match="steps"):
        standard_adversaries(echo(), 1)
    with pytest.raises(dpkit.ArgumentError, match="zero-out"):
        echo(promises=dpkit.PureDP(1.0, "add-remove"))
    with pytest.raises(dpkit.ArgumentError, match="bug must be one of"):
        planted("typo")


def test_an_adapter_that_never_works_is_an_error_and_one_that_sometimes_raises_is_heard():
    broken = adapt(Echo, lambda m, x: m.push(x), promises=ZERO)
    with pytest.raises(dpkit.ArgumentError, match="no attribute 'push'"):
        play_many(broken, fixed([1, 0], [0, 0]), 4, "left")

    def moody(mechanism, x):
        if x > 0.5:
            raise ValueError("too large")
        return x

    plays = play_many(adapt(Echo, moody, promises=ZERO), fixed([0, 1, 0], [0, 0, 0]), 4, "left")
    assert np.isfinite(plays.answers[:, 0]).all()
    assert np.isnan(plays.answers[:, 1:]).all()
    report = audit_stream(adapt(Echo, moody, promises=ZERO), [fixed([0, 1, 0], [0, 0, 0])], runs=2000)
    assert report.violated


def test_oblivious_streams_in_bulk_and_in_steps_have_the_same_answers():
    """The seeded twin: the same fixed adversary, once allowed to feed whole streams, once not."""
    stream = np.array([0.0, 1.0, 1.0, 0.0])

    def make(steps):
        return adapt(
            lambda: np.random.default_rng(3),
            lambda rng, x: x + rng.normal(),
            steps=(lambda rng, xs: xs + rng.normal(size=len(xs))) if steps else None,
            promises=ZERO,
        )

    other = np.array([0.0, 0.0, 1.0, 0.0])
    whole, single = (play_many(make(s), fixed(stream, other), 3, "left").answers for s in (True, False))
    np.testing.assert_allclose(whole, single)


# ---- adversaries ----------------------------------------------------------------------------------


def test_games_are_independent_of_each_other():
    """What an adversary plays in one game depends on that game alone: the confidence bounds need that."""
    for adversary in (
        feedback(6, 1.0, 0.0, 3),
        patient(6, 1.0, 0.0),
        follower(6, 3),
        follower(6, 2, other=0.0),
    ):
        history = np.random.default_rng(0).normal(size=(5, 6, 1))
        together = adversary.start(5, np.random.default_rng(0))
        alone = [adversary.start(1, np.random.default_rng(0)) for _ in range(5)]
        for t in range(6):
            moves = together(t, history[:, :t])
            for i in range(5):
                one = alone[i](t, history[i : i + 1, :t])
                for all_, single in zip(moves, one, strict=True):
                    np.testing.assert_array_equal(np.broadcast_to(all_, 5)[i], np.broadcast_to(single, 1)[0])


def test_follower_plays_the_last_answer():
    plays = play_many(echo(), Adversary("start", 1, fixed([0.7], [0.0]).start), 2, "left")
    assert plays.answers[0, 0, 0] == 0.7
    seeded = adapt(lambda: iter([5.0, 6.0, 7.0]), lambda m, x: next(m), promises=ZERO)
    plays = play_many(seeded, follower(3, 2), 2, "left")
    assert plays.left[0].tolist() == [0.0, 5.0, 6.0]
    assert plays.right[0].tolist() == [0.0, 0.0, 6.0]
    rows = play_many(
        adapt(lambda: iter([2, 1, 0]), lambda m, x: next(m), promises=ZERO, columns=3, truth=None),
        follower(3, 2, columns=3),
        2,
        "left",
    )
    assert rows.left[0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_patient_challenges_once_and_at_the_latest_at_the_end():
    plays = play_many(planted(), patient(8, 1.0, 0.0), 200, "left")
    assert (plays.differs.sum(axis=1) == 1).all()
    assert len(set(plays.challenge.tolist())) > 3


def test_boundary_challenges_at_both_ends_and_around_powers_of_two():
    places = [int(a.name.rsplit(" ", 1)[1]) for a in boundary(12, 1.0, 0.0)]
    assert places == [1, 2, 3, 4, 5, 7, 8, 9, 12]


def test_standard_adversaries_are_legal_for_every_kind_of_stream():
    kinds = [
        shipped(dpkit.Counter, rho=0.5, horizon=5, mechanism="binary", bounds=(-2, 1)),
        shipped(dpkit.Counter, rho=0.5, horizon=5, mechanism="binary", neighbours="replace"),
        shipped(dpkit.Histogram, 3, rho=0.5, horizon=5, mechanism="binary"),
        shipped(dpkit.Histogram, 3, rho=0.5, horizon=5, mechanism="binary", neighbours="replace"),
        shipped(dpkit.MaxSum, 3, rho=0.5, horizon=16),
        shipped(dpkit.SumSelect, 3, rho=0.5, horizon=16, neighbours="replace"),
        echo(changes=3, length=6),
    ]
    for mechanism in kinds:
        players = standard_adversaries(mechanism)
        assert len({a.name for a in players}) == len(players) >= 14
        for adversary in players:
            for side in ("left", "right"):
                plays = play_many(mechanism, adversary, 2, side)
                # a follower may be told the neutral element
                assert plays.differs.any(axis=1).all() or "follower" in adversary.name, adversary.name
                assert plays.answers.shape[:2] == (2, adversary.steps)


def test_a_restart_is_played_where_it_is_possible_and_refused_by_every_shipped_stream():
    plays = play_many(planted("state continued twice", 4), restart(4, 1.0, 0.0), 50, "left")
    difference = plays.answers[:, 1:, 0] - plays.answers[:, 1:, 1]
    assert (difference == 1.0).all()
    assert np.isnan(plays.answers[:, 0, 1]).all()
    for kind, columns in (
        (dpkit.Counter, None),
        (dpkit.MaxSum, 2),
        (dpkit.SumSelect, 2),
        (dpkit.Histogram, None),
    ):
        args = () if kind is dpkit.Counter else (2,)
        mechanism = shipped(kind, *args, rho=0.5, horizon=4)
        plays = play_many(mechanism, restart(4, 1.0, mechanism.neutral, columns), 3, "left")
        assert plays.refused, kind
        assert np.isfinite(plays.answers[:, :, : plays.answers.shape[2] // 2]).all()


def test_tracing_reads_each_column():
    """Without noise the answers on top of each column are its private sum plus what the questions added."""
    d, copies = 5, 2
    adversary = tracing(d, copies, seed=4)
    sums = adapt(lambda: np.zeros(d), _largest, promises=ZERO, columns=d, truth=largest_sum)
    plays = play_many(sums, adversary, 1, "left")
    row = plays.left[0, 0]
    tops = plays.answers[0, 2 * copies * np.arange(d) + copies, 0]
    np.testing.assert_array_equal(tops - copies * (np.arange(d) + 1), row)


def _largest(total, row):
    total += row
    return total.max()


# ---- features and exact answers ---------------------------------------------------------------------


def test_exact_answers():
    np.testing.assert_array_equal(running_sum((0, 1))(np.array([[2.0, -1.0, np.nan]]))[0, :, 0], [1, 1, 1])
    np.testing.assert_array_equal(
        running_counts(2)(np.array([[1.0, -1.0, 1.0]]))[0], [[0, 1], [0, 1], [0, 2]]
    )
    rows = np.array([[[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]])
    np.testing.assert_array_equal(largest_sum(rows)[0, :, 0], [1, 2, 2])


def test_granularity_is_the_lowest_bit():
    values = np.array([3.5, -0.375, 1e300, np.nan, 2.0**-1060])
    assert game_features.granularity(values).tolist()[:2] == [-1.0, -3.0]
    assert game_features.granularity(values)[3] == 1100.0
    rng = np.random.default_rng(0)
    for value in rng.normal(size=50) * 2.0 ** rng.integers(-20, 20, size=50):
        exponent = int(game_features.granularity(np.array([value]))[0])
        assert value / 2.0**exponent % 2 == 1


def test_nodes_undo_a_binary_tree():
    values = np.cumsum(np.arange(1, 9))[None, :, None].astype(float)
    assert game_features.nodes(values)[0, :, 0].tolist() == [1, 3, 3, 10, 5, 11, 7, 36]
