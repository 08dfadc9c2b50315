"""Running an engine: the profile that is chosen, and what goes to the GPU and comes back."""

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.artifact import Engine, TensorSpec
from compiler.backends.nvidia import session as sessions
from compiler.backends.nvidia.build_engine import the_logger
from compiler.backends.nvidia.session import NvidiaSession, matching_profile
from compiler.errors import CompileError
from tests.backends.host_device import HostCuda, host_library

SMALL = {"input": ((1, 3), (1, 3), (4, 3))}
LARGE = {"input": ((2, 3), (8, 3), (16, 3))}


@pytest.fixture
def cuda(monkeypatch):
    device = HostCuda()
    monkeypatch.setattr(sessions, "load_cuda", lambda: device)
    return device


@pytest.fixture
def engine(tmp_path):
    (tmp_path / "end2end.engine").write_bytes(b"plan")
    inputs, outputs = (TensorSpec("input", "float32", ("batch", 3)),), (TensorSpec("output", "int64", ("found",)),)
    return Engine(tmp_path, ("end2end.engine",), {}, inputs, outputs)


def above_zero(tensors):
    """Return an output whose shape is known only once it is computed."""
    return {"output": np.nonzero(tensors["input"].ravel() > 0)[0]}


def opened(engine, function=above_zero, *profiles):
    library = host_library(function, {"input": "float32"}, *(profiles or (SMALL,)))
    return NvidiaSession(library, engine, device=0), library.context


def test_an_engine_gets_the_inputs_and_gives_the_outputs(cuda, engine):
    session, _ = opened(engine)
    values = np.array([[-1, 2, 3], [4, -5, -6]], np.float32)
    found = session.run({"input": values})["output"]
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, [1, 2, 3])


def test_inputs_are_made_contiguous_and_of_the_engines_type(cuda, engine):
    session, _ = opened(engine)
    turned = np.array([[-1, 4], [2, -5], [3, -6]]).T  # int64, columns first
    np.testing.assert_array_equal(session.run({"input": turned})["output"], [1, 2, 3])


def test_results_are_kept_when_the_next_batch_is_run(cuda, engine):
    session, _ = opened(engine)
    first = session.run({"input": np.ones((1, 3), np.float32)})["output"]
    session.run({"input": -np.ones((4, 3), np.float32)})
    np.testing.assert_array_equal(first, [0, 1, 2])


def test_an_empty_result_is_an_empty_array(cuda, engine):
    session, _ = opened(engine)
    assert session.run({"input": -np.ones((2, 3), np.float32)})["output"].shape == (0,)


def test_the_profile_changes_with_the_shape(cuda, engine):
    session, context = opened(engine, above_zero, SMALL, LARGE)
    for size, profile in ((1, 0), (8, 1), (16, 1), (2, 0)):
        session.run({"input": np.ones((size, 3), np.float32)})
        assert context.active_optimization_profile == profile


def test_layers_are_timed_in_as_many_runs_as_are_asked_for_and_otherwise_not(cuda, engine):
    session, context = opened(engine)
    session.run({"input": np.ones((1, 3), np.float32)})
    assert context.profiler is None
    seconds = session.layer_seconds({"input": np.ones((1, 3), np.float32)}, 4)
    assert seconds == pytest.approx({"conv + relu": 0.002, "pool": 0.0005})
    assert context.profiler.seconds == pytest.approx({"conv + relu": 0.008, "pool": 0.002})


def test_memory_grows_is_used_again_and_is_freed_with_the_session(cuda, engine):
    session = opened(engine)[0]
    for size in (1, 4, 2, 4):
        session.run({"input": np.ones((size, 3), np.float32)})
    assert len(cuda.memory) == 2  # the input's and the output's
    del session
    the_logger.cache_clear()  # it knows the library, which here knows its one engine
    gc.collect()
    assert not cuda.memory


def test_a_gpu_without_enough_memory_says_so(cuda, engine):
    session, _ = opened(engine)
    cuda.capacity = 16
    with pytest.raises(CompileError, match="out of memory") as caught:
        session.run({"input": np.ones((4, 3), np.float32)})
    assert caught.value.why == "cudaErrorMemoryAllocation"


def test_an_engine_that_fails_while_it_runs_says_so(cuda, engine):
    def fail(tensors):
        raise ValueError

    session, _ = opened(engine, fail)
    with pytest.raises(CompileError, match="the engine fails"):
        session.run({"input": np.ones((1, 3), np.float32)})


def test_a_file_that_the_library_does_not_open_is_refused(cuda, engine):
    engine.path.write_bytes(b"something else")
    with pytest.raises(CompileError, match=r"tensorrt 11.4.0 cannot open end2end.engine"):
        opened(engine)


@pytest.mark.parametrize("shape", [(5, 3), (0, 3), (1, 4), (1, 3, 1)])
def test_shapes_that_no_profile_takes_are_refused(shape):
    with pytest.raises(CompileError, match="was not built for these shapes") as caught:
        matching_profile([SMALL], {"input": shape})
    assert "from (1, 3) to (4, 3)" in caught.value.why
    assert str(shape) in caught.value.where


def test_every_input_counts():
    two = {**SMALL, "mask": ((1,), (1,), (1,))}
    assert matching_profile([two], {"input": (1, 3), "mask": (1,)}) == 0
    with pytest.raises(CompileError):
        matching_profile([two], {"input": (1, 3), "mask": (2,)})


@given(st.integers(1, 16))
def test_of_several_profiles_the_one_with_the_nearest_usual_shape_is_taken(size):
    found = matching_profile([SMALL, LARGE], {"input": (size, 3)})
    assert found == int(size > 2)  # 3 is nearer to 8 than to 1, as a ratio
