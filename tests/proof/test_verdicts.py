"""The proof: how far every stage is from the network, and which one is the first beyond its tolerance."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from compiler.proof import (
    NETWORK,
    REWRITTEN,
    Comparison,
    StageProof,
    TaskProof,
    Tolerance,
    compare,
    compare_arrays,
    first_failure,
    prove,
)


@dataclass
class Batch:
    tensors: dict[str, np.ndarray]


class Peak(TaskProof):
    """The proof of a task that looks for the position of the largest value, as key points are found."""

    unit = "places"
    things = "peaks"

    def __init__(self):
        super().__init__(task=None)

    def samples(self, sample, count, size):
        raise NotImplementedError

    def decode(self, outputs, prepared):
        assert len(outputs["heat"]) == len(prepared.tensors["input"])
        return outputs["heat"].argmax(axis=1)

    def difference(self, a, b):
        return float(np.abs(a - b).max())


class BestFirst(Peak):
    """The proof of a task whose items come in the order of their scores."""

    def comparable(self, outputs, like):
        order = np.abs(outputs["heat"][:, :, None] - like["heat"][:, None]).argmin(axis=1)
        return {"heat": np.take_along_axis(outputs["heat"], order, axis=1)}


RAMP = np.linspace(-1.0, 1.0, 8, dtype=np.float32)
SAMPLES = {str(n): Batch({"input": np.tile(RAMP, (n, 1)) + np.arange(n, dtype=np.float32)[:, None]}) for n in (1, 3)}


def network(tensors):
    return {"heat": np.sin(3 * tensors["input"]), "offset": tensors["input"] * 2}


def off_by(error):
    """Return a stage whose outputs are those of the network, plus `error`."""
    return lambda tensors: {name: value + error for name, value in network(tensors).items()}


TIGHT = Tolerance(1e-4)


def proofs_of(*stages, tolerance=TIGHT, lossy=None):
    return prove([(NETWORK, network), *stages], SAMPLES, Peak(), tolerance, lossy=lossy)


def test_the_numbers_of_a_comparison_are_those_computed_by_hand():
    reference = {"heat": np.array([[1.0, 3.0], [1.0, 3.0]], dtype=np.float32)}
    found = {"heat": np.array([[1.0, 3.5], [1.25, 3.0]], dtype=np.float32)}
    (comparison,) = compare(reference, found, Peak(), "2x2")
    assert comparison == Comparison(
        input="2x2",
        output="heat",
        max_absolute_error=0.5,
        mean_absolute_error=0.75 / 4,
        relative_error=0.5,  # the standard deviation of 1, 3, 1, 3 is 1
        cosine_similarity=pytest.approx((1 + 10.5 + 1.25 + 9) / math.sqrt(20 * (1 + 3.5**2 + 1.25**2 + 9))),
        typical_error=pytest.approx(math.sqrt((0.5**2 + 0.25**2) / 4)),
        yardstick="σ",
        size=3.0,
    )


def test_the_error_is_measured_in_standard_deviations_of_the_reference():
    reference = {"heat": np.array([10.0, 30.0])}
    assert compare(reference, {"heat": np.array([10.0, 31.0])}, Peak())[0].relative_error == pytest.approx(0.1)
    assert compare(reference, {"heat": np.array([0.0, 31.0])}, Peak())[0].relative_error == pytest.approx(1.0)


outputs = arrays.arrays(np.float32, (2, 3), elements=st.floats(-1e3, 1e3, width=32))


@given(outputs)
def test_what_equals_the_reference_has_no_error(output):
    (comparison,) = compare({"heat": output}, {"heat": output.copy()}, Peak())
    assert (comparison.max_absolute_error, comparison.mean_absolute_error, comparison.relative_error) == (0, 0, 0)
    assert comparison.cosine_similarity == pytest.approx(1)


@given(outputs, outputs)
def test_the_largest_error_is_never_below_the_mean(reference, found):
    (comparison,) = compare({"heat": reference}, {"heat": found}, Peak())
    assert 0 <= comparison.mean_absolute_error <= comparison.max_absolute_error * (1 + 1e-9)
    assert -1 - 1e-9 <= comparison.cosine_similarity <= 1 + 1e-9


@pytest.mark.parametrize("size", [5.0, 5e-9])
def test_a_constant_output_is_measured_in_its_own_size(size):
    reference = {"heat": np.full((1, 4), size, dtype=np.float32)}
    (comparison,) = compare(reference, {"heat": reference["heat"] * np.float32(1.25)}, Peak())
    assert comparison.relative_error == pytest.approx(0.25)
    assert comparison.yardstick == "size"


def test_an_output_of_zeros_is_like_itself_and_like_nothing_else():
    zeros, ones = {"heat": np.zeros(3)}, {"heat": np.ones(3)}
    assert compare(zeros, zeros, Peak())[0].cosine_similarity == 1.0
    assert compare(zeros, ones, Peak())[0].cosine_similarity == 0.0


def test_whole_numbers_do_not_overflow():
    reference, found = {"label": np.array([0, 200], dtype=np.uint8)}, {"label": np.array([200, 0], dtype=np.uint8)}
    assert compare(reference, found, Peak())[0].max_absolute_error == 200


def test_an_output_that_finds_nothing_has_no_error():
    empty = {"dets": np.zeros((1, 0, 5), dtype=np.float32)}
    (comparison,) = compare(empty, empty, Peak())
    assert (comparison.max_absolute_error, comparison.mean_absolute_error, comparison.relative_error) == (0, 0, 0)


@pytest.mark.parametrize("found", [{"heat": np.ones((2, 3))}, {"heat": np.ones(6)}, {"other": np.ones((3, 2))}, {}])
def test_another_shape_or_no_output_is_infinitely_wrong(found):
    (comparison,) = compare({"heat": np.ones((3, 2))}, found, Peak())
    assert comparison == Comparison("", "heat", math.inf, math.inf, math.inf, 0.0, math.inf)


def test_items_are_compared_in_the_order_of_the_reference():
    reference, swapped = {"heat": np.array([[3.0, 2.0, 1.0]])}, {"heat": np.array([[2.0, 3.0, 1.0]])}
    assert compare(reference, swapped, BestFirst())[0].max_absolute_error == 0
    assert compare(reference, swapped, Peak())[0].max_absolute_error == 1
    wrong = {"heat": np.array([[3.0, 2.0, 1.5]])}
    assert compare(reference, wrong, BestFirst())[0].max_absolute_error == 0.5


def test_every_stage_is_compared_at_every_batch_and_output():
    first, second = proofs_of((REWRITTEN, off_by(0.0)), ("engine", off_by(1e-6)))
    assert (first.stage, second.stage) == (REWRITTEN, "engine")
    assert (first.reference, second.reference) == (NETWORK, NETWORK)
    for proof in (first, second):
        assert [(c.input, c.output) for c in proof.comparisons] == [
            ("1", "heat"),
            ("1", "offset"),
            ("3", "heat"),
            ("3", "offset"),
        ]
        assert proof.decoded == {"1": 0.0, "3": 0.0}
        assert proof.within
        assert not proof.lossy


def test_a_stage_is_within_its_tolerance_up_to_its_worst_output():
    (proof,) = proofs_of(("engine", off_by(0.01)))
    limit = proof.worst.relative_error
    assert limit == max(c.relative_error for c in proof.comparisons)
    assert proofs_of(("engine", off_by(0.01)), tolerance=Tolerance(limit))[0].within
    assert not proofs_of(("engine", off_by(0.01)), tolerance=Tolerance(limit * 0.999))[0].within


def test_one_wrong_batch_is_enough():
    def frozen(tensors):
        return {name: value * (1.0 if len(value) == 1 else 1.1) for name, value in network(tensors).items()}

    (proof,) = proofs_of(("program", frozen))
    assert not proof.within
    assert {c.input for c in proof.comparisons if c.relative_error > 1e-4} == {"3"}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_never_within(value):
    def broken(tensors):
        found = network(tensors)
        found["offset"][0, 0] = value
        return found

    (proof,) = proofs_of(("engine", broken), tolerance=Tolerance(1e9))
    assert not proof.within
    assert proof.worst.output == "offset"
    assert not proof.worst.relative_error <= 1e9


def test_a_network_that_gives_no_numbers_proves_nothing():
    stages = [(NETWORK, off_by(np.nan)), ("engine", off_by(np.nan))]
    (proof,) = prove(stages, SAMPLES, Peak(), Tolerance(1e9))
    assert not proof.within


@pytest.mark.parametrize(
    "broken",
    [
        lambda tensors: {name: value[:, :-1] for name, value in network(tensors).items()},
        lambda tensors: {"heat": network(tensors)["heat"]},
        lambda tensors: {"offset": network(tensors)["offset"]},
    ],
    ids=["cut", "without offset", "without heat"],
)
def test_a_wrong_shape_or_a_missing_output_fails_decoded_too(broken):
    (proof,) = proofs_of(("engine", broken), tolerance=Tolerance(1e9, decoded=1e9))
    assert not proof.within
    assert proof.worst.relative_error == math.inf
    assert proof.decoded == {"1": math.inf, "3": math.inf}


def shifted(tensors):
    """Move the peak by one position: small after decoding, large in the raw output."""
    return {name: np.roll(value, 1, axis=1) for name, value in network(tensors).items()}


def test_the_decoded_difference_is_the_tasks_own():
    (proof,) = proofs_of(("engine", shifted))
    heat = network(SAMPLES["1"].tensors)["heat"][0]
    assert proof.decoded["1"] == abs(int(heat.argmax()) - int(np.roll(heat, 1).argmax())) > 0


def test_with_a_decoded_tolerance_both_have_to_hold():
    assert proofs_of(("engine", shifted), tolerance=Tolerance(1e9))[0].within
    assert not proofs_of(("engine", shifted), tolerance=Tolerance(1e9, decoded=0.5))[0].within
    assert not proofs_of(("engine", shifted), tolerance=Tolerance(1e-4, decoded=100.0))[0].within


def test_a_lossy_rewrite_is_held_to_a_tolerance_of_its_own():
    stages = [(REWRITTEN, shifted)]
    (lossy,) = proofs_of(*stages, tolerance=TIGHT, lossy=Tolerance(None, decoded=100.0))
    (strict,) = proofs_of(*stages, tolerance=TIGHT, lossy=Tolerance(None, decoded=0.5))
    assert lossy.lossy
    assert lossy.worst.relative_error > 1e-4
    assert lossy.within
    assert not strict.within


def test_the_stages_behind_a_lossy_rewrite_are_held_to_the_rewritten_network():
    tolerance = Tolerance(1e-4, decoded=100.0)
    rewritten, program, engine = proofs_of(
        (REWRITTEN, shifted), ("program", shifted), ("engine", network), tolerance=tolerance, lossy=Tolerance(None)
    )
    assert (rewritten.reference, program.reference, engine.reference) == (NETWORK, REWRITTEN, REWRITTEN)
    assert program.within
    assert program.worst.max_absolute_error == 0
    assert not program.lossy
    assert not engine.within


def test_without_a_lossy_rewriter_everything_is_held_to_the_network():
    rewritten, program = proofs_of((REWRITTEN, shifted), ("program", shifted), tolerance=Tolerance(1e-4, 100.0))
    assert (rewritten.reference, program.reference) == (NETWORK, NETWORK)
    assert not rewritten.within
    assert not program.within


def test_the_first_stage_beyond_its_tolerance_is_named():
    proofs = proofs_of((REWRITTEN, off_by(0.0)), ("program", off_by(1.0)), ("engine", off_by(2.0)))
    assert first_failure(proofs) is proofs[1]
    assert first_failure(proofs_of((REWRITTEN, off_by(0.0)), ("engine", off_by(0.0)))) is None
    assert first_failure([]) is None


def test_a_proof_survives_its_report():
    for proof in proofs_of(
        (REWRITTEN, shifted), ("engine", off_by(1e-6)), tolerance=Tolerance(1e-4, 100.0), lossy=Tolerance(None)
    ):
        assert StageProof.from_dict(json.loads(json.dumps(proof.to_dict()))) == proof


def compared(relative_error: float, cosine: float) -> Comparison:
    return Comparison("1", "heat", relative_error, relative_error, relative_error, cosine)


@pytest.mark.parametrize(
    ("tolerance", "relative_error", "cosine", "holds"),
    [
        (Tolerance(0.1), 0.1, -1.0, True),  # the cosine does not count
        (Tolerance(0.1), 0.11, 1.0, False),
        (Tolerance(None, cosine=0.99), 5.0, 0.99, True),  # the error does not count
        (Tolerance(None, cosine=0.99), 0.0, 0.98, False),
        (Tolerance(0.1, cosine=0.99), 0.1, 0.99, True),
        (Tolerance(0.1, cosine=0.99), 0.2, 0.99, False),
        (Tolerance(0.1, cosine=0.99), 0.1, 0.98, False),
        (Tolerance(None), math.inf, 0.0, True),  # nothing counts
        (Tolerance(0.1, cosine=0.99), math.nan, math.nan, False),
        (Tolerance(None, cosine=0.99), math.nan, math.nan, False),
    ],
)
def test_a_tolerance_holds_the_error_and_the_cosine_where_it_limits_them(tolerance, relative_error, cosine, holds):
    assert tolerance.holds(compared(relative_error, cosine)) is holds


def test_a_stage_in_a_lower_precision_is_held_to_its_own_tolerance_and_the_others_are_not():
    stages = [(NETWORK, network), ("program", off_by(1e-6)), ("int8", off_by(0.05)), ("engine", off_by(0.05))]

    def within(**reduced):
        return [proof.within for proof in prove(stages, SAMPLES, Peak(), TIGHT, reduced=reduced)]

    loose = Tolerance(None, cosine=0.99)
    assert within() == [True, False, False]
    assert within(int8=loose) == [True, True, False]
    assert within(int8=loose, engine=loose) == [True, True, True]
    assert within(int8=Tolerance(None, cosine=0.999999), engine=loose) == [True, False, True]


def test_a_stage_in_fp32_stays_tight_beside_one_in_a_lower_precision():
    stages = [(NETWORK, network), ("program", off_by(0.05)), ("int8", off_by(0.05))]
    proofs = prove(stages, SAMPLES, Peak(), TIGHT, reduced={"int8": Tolerance(None, cosine=0.99)})
    assert first_failure(proofs).stage == "program"


def test_a_lower_precision_keeps_the_decoded_tolerance():
    stages = [(NETWORK, network), ("int8", lambda tensors: {k: v[:, ::-1] for k, v in network(tensors).items()})]
    (proof,) = prove(stages, SAMPLES, Peak(), TIGHT, reduced={"int8": Tolerance(None, decoded=0.5)})
    assert not proof.within


def test_every_precision_has_a_limit_that_sees_scale():
    """A cosine does not: an engine that gives everything ten times as large, or off by a constant, is parallel."""
    reference = np.random.default_rng(0).normal(100, 1, (2, 50)).astype(np.float32)
    blind, sighted = Tolerance(None, cosine=0.99), Tolerance(None, cosine=0.99, typical=0.2)
    for found in (reference * np.float32(10), reference + np.float32(3)):
        comparison = compare_arrays("heat", reference, found)
        assert blind.holds(comparison)
        assert not sighted.holds(comparison)
    assert sighted.holds(compare_arrays("heat", reference, reference + np.float32(0.1)))


def test_one_number_that_is_far_off_is_not_what_is_typical():
    reference = np.random.default_rng(0).normal(0, 1, 1000).astype(np.float32)
    found = reference.copy()
    found[7] += 4
    comparison = compare_arrays("heat", reference, found)
    assert comparison.relative_error > 3
    assert Tolerance(None, cosine=0.99, typical=0.2).holds(comparison)
    assert not Tolerance(1.0, cosine=0.99, typical=0.2).holds(comparison)


class Strict(Peak):
    """A task that knows what a user would call wrong."""

    limit = 1.0


def test_what_a_user_would_call_wrong_is_not_within_unless_it_is_allowed():
    def moved(places, decoded=None):
        def run(tensors):
            return {name: np.roll(value, places, axis=1) for name, value in network(tensors).items()}

        stages = [(NETWORK, network), ("int8", run)]
        return prove(stages, SAMPLES, Strict(), TIGHT, reduced={"int8": Tolerance(None, decoded)})[0]

    assert not moved(2).within
    assert "2 places off after decoding where 1 are allowed" in " ".join(moved(2).faults)
    assert moved(1).within
    assert moved(2, decoded=9.0).within


class Sparse(Peak):
    """A task whose network drops what scores too little."""

    things = "peaks"

    def count(self, outputs):
        return int((outputs["heat"] > 0).sum())

    def found(self, results):
        return 0


def dropping(tensors):
    return {"heat": np.zeros_like(tensors["input"])}


def test_a_comparison_of_nothing_proves_nothing():
    (proof,) = prove([(NETWORK, dropping), ("engine", dropping)], SAMPLES, Sparse(), TIGHT)
    assert not proof.within
    assert proof.bases["1"].numbers == 0
    assert proof.faults[0] == "nothing was compared for the input 1: the reference finds no peaks there"


@pytest.mark.parametrize(("error", "within"), [(1e-6, True), (1e-2, False)])
def test_where_nothing_is_found_what_is_chosen_from_is_compared(error, within):
    candidates = {NETWORK: network, "engine": off_by(error)}
    (proof,) = prove([(NETWORK, dropping), ("engine", dropping)], SAMPLES, Sparse(), TIGHT, opened=candidates.get)
    assert proof.within is within
    assert proof.bases["3"].opened
    assert str(proof.bases["3"]) == f"no peaks, {proof.bases['3'].numbers} numbers of candidates"
    assert "heat of candidates" in {comparison.output for comparison in proof.comparisons}


def test_what_cannot_be_opened_is_not_proven_where_the_reference_can():
    (proof,) = prove(
        [(NETWORK, dropping), ("engine", dropping)], SAMPLES, Sparse(), TIGHT, opened={NETWORK: network}.get
    )
    assert not proof.within


def test_where_something_is_found_nothing_is_opened():
    (proof,) = prove([(NETWORK, network), ("engine", network)], SAMPLES, Sparse(), TIGHT, opened=lambda name: 1 / 0)
    assert proof.within
    assert not proof.bases["1"].opened


def test_a_verdict_says_on_how_much_it_stands():
    (proof,) = proofs_of(("engine", off_by(0.0)))
    assert {size: basis.numbers for size, basis in proof.bases.items()} == {"1": 16, "3": 48}
    assert proof.weakest == proof.bases["1"]
    assert str(proof.weakest) == "1 peaks, 16 numbers"


def test_a_proof_from_before_is_read_without_what_it_stands_on():
    (proof,) = proofs_of(("engine", off_by(1e-6)))
    values = json.loads(json.dumps(proof.to_dict()))
    old = {key: value for key, value in values.items() if key not in ("bases", "faults")}
    new = ("typical_error", "yardstick", "size", "oddity")
    old["comparisons"] = [{k: v for k, v in row.items() if k not in new} for row in values["comparisons"]]
    read = StageProof.from_dict(old)
    assert read.weakest is None
    assert [row.relative_error for row in read.comparisons] == [row.relative_error for row in proof.comparisons]
