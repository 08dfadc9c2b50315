"""A detector's candidates, found among all that a stage computes."""

import numpy as np

from compiler.proof.candidates import compare_candidates, found_among

DRAWN = np.random.default_rng(0)
SIZES = (12, 4)
LEVELS = {
    f"{level}/{what}": DRAWN.random((2, size, count), np.float32)
    for level, size in enumerate(SIZES)
    for what, count in (("boxes", 4), ("scores", 3))
}
BOXES = np.concatenate([LEVELS["0/boxes"], LEVELS["1/boxes"]], axis=1)


def test_what_is_scored_by_level_and_decoded_at_once_is_found():
    pool = {"sigmoid": LEVELS["0/scores"], "sigmoid_1": LEVELS["1/scores"], "cat": BOXES}
    found = found_among(pool, LEVELS)
    assert found.keys() == LEVELS.keys()
    assert all((found[name] == LEVELS[name]).all() for name in LEVELS)


def test_a_level_that_is_decoded_wrongly_among_others_is_seen():
    wrong = BOXES.copy()
    wrong[:, SIZES[0] :] *= 2
    pool = {"sigmoid": LEVELS["0/scores"], "sigmoid_1": LEVELS["1/scores"], "cat": wrong}
    errors = {one.output: one.relative_error for one in compare_candidates(LEVELS, pool, reach=1.0)}
    assert errors["boxes of candidates, level 0"] == 0
    assert errors["boxes of candidates, level 1"] > 0.1


def test_a_level_that_is_missing_among_others_is_missing():
    pool = {"sigmoid": LEVELS["0/scores"], "sigmoid_1": LEVELS["1/scores"], "cat": BOXES[:, : SIZES[0]]}
    assert "1/boxes" not in found_among(pool, LEVELS)
