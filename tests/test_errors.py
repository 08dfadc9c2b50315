"""What a user sees when something is wrong."""

import itertools
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from compiler.errors import (
    CompileError,
    ExitCode,
    Interrupted,
    UsageError,
    as_compile_error,
    is_misspelt,
    nearest,
    was_interrupted,
)
from compiler.printable import LONGEST

CHOICES = ["onnxruntime", "openvino", "tensorrt", "tensorrt_rtx"]


def fail(kind):
    raise kind("it broke", where="here", why="because", fix="mend it")


def test_an_error_says_what_where_why_and_what_to_do():
    error = CompileError("it broke", where="here", why="because", fix="mend it")
    assert str(error) == "it broke\n  where: here\n  why:   because\n  fix:   mend it"


def test_what_is_not_known_is_left_out():
    assert str(CompileError("it broke")) == "it broke"
    assert str(CompileError("it broke", fix="mend it")) == "it broke\n  fix:   mend it"


def test_the_exit_code_tells_wrong_usage_from_failure():
    assert CompileError("it broke").exit_code == ExitCode.FAILED == 1
    assert UsageError("it broke").exit_code == ExitCode.USAGE == 2
    assert (ExitCode.PROVEN, ExitCode.NOT_PROVEN) == (0, 3)


@pytest.mark.parametrize("kind", [CompileError, UsageError])
@given(texts=st.tuples(*[st.text()] * 4))
def test_an_error_survives_pickling(kind, texts):
    what, where, why, fix = texts
    copy = pickle.loads(pickle.dumps(kind(what, where=where, why=why, fix=fix)))
    assert type(copy) is kind
    assert (copy.what, copy.where, copy.why, copy.fix) == texts


def test_an_error_comes_back_whole_from_another_process():
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(UsageError) as caught,
    ):
        pool.submit(fail, UsageError).result()
    assert str(caught.value) == str(UsageError("it broke", where="here", why="because", fix="mend it"))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("onnxruntme", "did you mean onnxruntime?"),
        ("tensorrtx", "did you mean tensorrt or tensorrt_rtx?"),
        ("TensorRT", "did you mean tensorrt?"),
        ("onnx", "choose one of: onnxruntime, openvino, tensorrt, tensorrt_rtx"),
        ("coreml", "choose one of: onnxruntime, openvino, tensorrt, tensorrt_rtx"),
        ("", "choose one of: onnxruntime, openvino, tensorrt, tensorrt_rtx"),
    ],
)
def test_the_nearest_choices_are_offered_or_all_of_them(name, advice):
    assert nearest(name, CHOICES) == advice


@pytest.mark.parametrize(
    ("name", "choice", "misspelt"),
    [
        ("rtmpsoe", "rtmpose", True),
        ("Rtm-Pose", "rtmpose", True),
        ("batch.larges", "batch.largest", True),
        ("yolox", "yolov3", False),
        ("yolov4", "yolov3", False),
        ("yolox", "yoloxpose", False),
        ("fp8", "fp16", False),
        ("model.tail.score_thr", "model.processing.score_threshold", False),
    ],
)
def test_a_guess_is_for_slips_of_the_fingers(name, choice, misspelt):
    assert is_misspelt(name, choice) is misspelt


def test_where_nothing_can_be_chosen_that_is_said():
    assert nearest("coreml", []) == "there is none to choose from"


@given(st.sampled_from(CHOICES), st.integers(0, 5))
def test_one_letter_too_few_still_finds_the_choice(choice, position):
    misspelt = choice[:position] + choice[position + 1 :]
    assert choice in nearest(misspelt, CHOICES).removeprefix("did you mean ").removesuffix("?").split(" or ")


@given(st.text(), st.lists(st.text()))
def test_any_text_gets_an_advice(name, choices):
    assert nearest(name, choices)


def failing_while_it_is_left():
    try:
        raise Interrupted
    finally:
        {}["tidied up"]


def failing_and_wrapped():
    try:
        failing_while_it_is_left()
    except KeyError as error:
        raise CompileError("the network cannot be built") from error


def failing_by_itself():
    try:
        raise OSError
    except OSError:
        raise KeyError from None


@pytest.mark.parametrize(
    ("run", "interrupted"), [(failing_while_it_is_left, True), (failing_and_wrapped, True), (failing_by_itself, False)]
)
def test_an_interruption_is_seen_behind_what_it_makes_a_library_raise(run, interrupted):
    with pytest.raises((KeyError, CompileError)) as caught:
        run()
    assert was_interrupted(caught.value) == interrupted


def raised_when_interrupted_at(line, run):
    """Interrupt a run at its so many-th line within OmegaConf; return what comes of it, or None where it is over."""
    lines = itertools.count(1)

    def trace(frame, event, argument):
        if event == "line" and next(lines) == line:
            raise Interrupted
        return trace if "omegaconf" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except BaseException as error:
        return error
    finally:
        sys.settrace(before)
    return None


def test_omegaconf_may_be_interrupted_anywhere():
    """Where it is left while it moves a value, it cannot move it back, and says that instead."""
    found = [raised_when_interrupted_at(line, lambda: OmegaConf.create([[3]])) for line in range(1, 2000)]
    raised = list(itertools.takewhile(bool, found))
    assert len(raised) < len(found), "every line was tried"
    assert all(map(was_interrupted, raised))
    assert not all(isinstance(error, Interrupted) for error in raised)


def test_no_text_passes_for_another_line_of_an_error():
    error = CompileError("it broke\nproven: yes", where="here\nerror: there", why="a\nb")
    assert str(error) == "it broke\n  proven: yes\n  where: here\n         error: there\n  why:   a\n         b"


def test_a_terminal_is_shown_no_controls():
    error = CompileError("\x1b[2J", where="a\rb", why="\u202e", fix="c\0")
    assert str(error) == error.summary == "\\x1b[2J\n  where: a\\rb\n  why:   \\u202e\n  fix:   c\\x00"


def test_a_flood_is_cut_where_it_is_shown_and_whole_where_it_is_logged():
    error = CompileError("it broke", where="n" * 200_000, fix="mend it")
    assert len(error.summary) < 3000
    assert f"({200_000 - LONGEST:,} more characters)" in error.summary
    assert error.summary.endswith("fix:   mend it")
    assert "n" * 200_000 in str(error)


def test_what_compiling_needs_and_is_not_there_names_its_extra():
    shown = as_compile_error(ModuleNotFoundError("No module named 'hydra.core'", name="hydra.core"))
    assert (shown.what, shown.fix) == ("hydra.core is not installed", "pip install 'deploy-compiler[compile]'")


@pytest.mark.parametrize("name", ["rich.table", "jinja2"])
def test_what_tables_need_and_is_not_there_names_the_smaller_extra_too(name):
    shown = as_compile_error(ModuleNotFoundError(f"No module named '{name}'", name=name))
    assert shown.what == f"{name.partition('.')[0]} is not installed"
    assert shown.fix == "pip install 'deploy-compiler[evaluate]', or [compile]"


@pytest.mark.parametrize(
    ("name", "brings"),
    [
        ("pycocotools.cocoeval", "'deploy-compiler[evaluate]'"),
        ("rapidfuzz", "'deploy-compiler[evaluate]'"),
        ("faster_coco_eval", "faster-coco-eval"),
    ],
)
def test_what_measures_and_is_not_there_names_what_brings_it(name, brings):
    shown = as_compile_error(ModuleNotFoundError(f"No module named '{name}'", name=name))
    assert (shown.what, shown.fix) == (f"{name.partition('.')[0]} is not installed", f"pip install {brings}")


def test_a_module_that_nobody_knows_is_a_defect():
    assert (
        "a defect in the compiler" in as_compile_error(ModuleNotFoundError("No module named 'zebra'", name="zebra")).fix
    )
