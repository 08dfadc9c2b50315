"""Several inputs in flight: in order, as if each were alone, and never more of them than the streams say."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from compiler import runtime
from compiler.backends import build_backend
from compiler.errors import CompileError, UsageError
from compiler.runtime.stream import IN_FLIGHT, Stream
from compiler.tasks.images import opencv_silenced
from tests.bundles import FIRST_LAYOUT
from tests.conftest import PHOTOGRAPH

STREAMS = 3
BOXES = [[80, 20, 310, 460], [20, 10, 200, 300]]
INTERRUPTED = """
import itertools, time
from compiler.runtime.stream import Stream
for number in Stream(lambda number: (time.sleep(0.05), number), itertools.count(), {streams}):
    print(number, flush=True)
"""


@pytest.mark.parametrize("streams", [1, STREAMS])
def test_results_come_in_the_order_of_the_items(streams):
    waits = {0: threading.Event()}

    def function(item):
        if item == 1 or streams == 1:
            waits[0].set()
        waits.get(item, waits[0]).wait(30)  # with several streams the first is done after the second
        return item * item

    assert list(Stream(function, range(10), streams)) == [item * item for item in range(10)]


def test_as_many_are_worked_at_at_once_as_there_are_streams():
    together = threading.Barrier(STREAMS, timeout=30)  # passes only where so many are there
    assert list(Stream(lambda item: (together.wait(), item)[1], range(2 * STREAMS), STREAMS)) == list(
        range(2 * STREAMS)
    )


@pytest.mark.parametrize("streams", [1, STREAMS])
def test_no_more_items_are_taken_than_are_worked_at_or_wait(streams):
    taken = []

    def items():
        for item in itertools.count():
            taken.append(item)
            yield item

    stream = Stream(lambda item: item, items(), streams)
    assert not taken
    for seen in range(20):
        assert next(stream) == seen
        assert len(taken) - seen <= (1 if streams == 1 else streams * IN_FLIGHT)
    stream.close()
    assert list(stream) == []


@pytest.mark.parametrize("streams", [1, STREAMS])
def test_an_error_comes_in_its_place_and_what_is_behind_it_can_be_had(streams):
    stream = Stream(lambda item: 6 // item, [1, 2, 0, 3], streams)
    assert [next(stream), next(stream)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(stream)
    assert list(stream) == [2]


@pytest.mark.parametrize("streams", [1, STREAMS])
def test_an_error_of_the_items_comes_behind_the_results_and_ends_them(streams):
    def items():
        yield 1
        raise OSError("the camera is gone")

    stream = Stream(lambda item: item, items(), streams)
    assert next(stream) == 1
    with pytest.raises(OSError, match="the camera is gone"):
        next(stream)
    assert list(stream) == []


def test_whoever_leaves_a_stream_leaves_nothing_running():
    before = set(threading.enumerate())
    done, go = [], threading.Event()

    def function(item):
        go.wait(30)
        done.append(item)

    with Stream(function, itertools.count(), STREAMS) as stream:
        for _ in range(STREAMS * IN_FLIGHT):
            stream._take()  # as asking for a result does, which would wait for it
        threads = set(threading.enumerate()) - before
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(threads) == STREAMS
    assert not any(thread.is_alive() for thread in threads)
    assert len(done) <= STREAMS


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
@pytest.mark.parametrize("streams", [1, STREAMS])
def test_an_interrupt_ends_a_stream_without_an_end(streams):
    script = INTERRUPTED.format(streams=streams)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in printed


@pytest.mark.parametrize("name", ["objects", "pose", "reader", "text"])
def test_a_bundle_gives_in_streams_what_it_gives_one_by_one(name):
    one_by_one, several = runtime.open(FIRST_LAYOUT / name), runtime.open(FIRST_LAYOUT / name, streams=STREAMS)
    source = one_by_one.task.read(one_by_one.task.sample_source()).source
    sources = [np.ascontiguousarray(source[: len(source) - 3 * cut]) for cut in range(7)]
    found = list(several.stream(sources))
    assert len(found) == 7
    for results, image in zip(found, sources, strict=True):
        assert [one.to_dict() for one in results] == [one.to_dict() for one in one_by_one(image)]


def test_each_source_may_have_its_boxes():
    predictor = runtime.open(FIRST_LAYOUT / "pose", streams=2)
    first, second = predictor.stream([PHOTOGRAPH] * 2, [BOXES, None])
    assert [one.box.tolist() for one in first] == BOXES
    assert [one.to_dict() for one in second] == [one.to_dict() for one in predictor(PHOTOGRAPH)]


def test_what_is_wrong_with_a_source_is_told_in_its_place(tmp_path):
    stream = runtime.open(FIRST_LAYOUT / "pose", streams=2).stream([PHOTOGRAPH, tmp_path / "missing.jpg", PHOTOGRAPH])
    assert len(next(stream)) == 1
    with pytest.raises(CompileError, match="the image does not exist"):
        next(stream)
    assert len(next(stream)) == 1


def test_a_camera_may_write_its_next_image_over_the_last():
    predictor = runtime.open(FIRST_LAYOUT / "pose", streams=STREAMS)
    image = predictor.task.read(PHOTOGRAPH).source
    buffer = np.empty_like(image)

    def frames():
        for index in range(6):
            buffer[:] = np.roll(image, 40 * index, axis=1)
            yield buffer

    for index, results in enumerate(predictor.stream(frames())):
        (expected,) = predictor(np.roll(image, 40 * index, axis=1))
        assert results[0].to_dict() == expected.to_dict()


@pytest.mark.parametrize("boxes", [BOXES[:1], [None] * 3, []])
def test_there_are_as_many_boxes_as_sources(boxes):
    predictor = runtime.open(FIRST_LAYOUT / "pose")
    with pytest.raises(UsageError, match="there are not as many boxes as sources"):
        list(predictor.stream([PHOTOGRAPH] * 2, boxes))


@pytest.mark.parametrize("one", [PHOTOGRAPH, str(PHOTOGRAPH), {"x": np.zeros(3)}])
def test_one_source_is_no_stream(one):
    with pytest.raises(UsageError, match="one source is no stream"):
        runtime.open(FIRST_LAYOUT / "pose").stream(one)


@pytest.mark.parametrize("streams", [0, -1, 1.5, "2", 10**6])
def test_a_number_of_streams_that_cannot_be_is_refused(streams):
    with pytest.raises(UsageError, match="is no number of streams"):
        runtime.open(FIRST_LAYOUT / "pose", streams=streams)


def test_a_backend_that_computes_one_at_a_time_says_so_and_is_run_so():
    ncnn = build_backend({"_target_": "compiler.backends.ncnn.Ncnn", "name": "ncnn"})
    with pytest.raises(UsageError, match="an engine of ncnn computes one input at a time") as caught:
        ncnn.in_streams(2)
    assert "backend=onnxruntime" in caught.value.fix


@pytest.mark.parametrize(("threads", "streams", "within"), [(4, 2, 3), (2, 2, 1), (1, 4, 1)])
def test_onnx_runtime_uses_no_more_threads_than_without_streams(threads, streams, within):
    node = {"_target_": "compiler.backends.onnxruntime.OnnxRuntime", "name": "onnxruntime", "threads": threads}
    backend = build_backend(node).in_streams(streams)
    assert (backend.threads, backend.spinning) == (within, False)
    # The threads that call are those of the streams, and one of those within an operator is the caller.
    assert within == 1 or streams + within - 1 == threads


def test_directml_computes_one_at_a_time():
    node = {"_target_": "compiler.backends.onnxruntime.OnnxRuntime", "name": "onnxruntime", "provider": "directml"}
    with pytest.raises(UsageError, match="one input at a time"):
        build_backend(node).in_streams(2)


def test_two_bundles_look_at_several_images_at_once():
    detector, estimator = (runtime.open(FIRST_LAYOUT / name, streams=2) for name in ("objects", "pose"))
    found = replace(detector, session=SimpleNamespace(run=detector.session.run))
    chain = runtime.chain(found, estimator, runtime.ChainOptions(label="cup", score_threshold=0.0))
    assert chain.streams == 2
    sources = [detector.task.sample_source()] * 3
    expected = [one.to_dict() for one in chain(sources[0])]
    assert expected
    assert [[one.to_dict() for one in results] for results in chain.stream(sources)] == [expected] * 3


def test_opencv_writes_again_when_the_last_thread_wants_no_silence_any_more():
    from cv2.utils import logging

    before = logging.getLogLevel()
    first, second = opencv_silenced(), opencv_silenced()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert logging.getLogLevel() == logging.LOG_LEVEL_SILENT
    second.__exit__(None, None, None)
    assert logging.getLogLevel() == before
