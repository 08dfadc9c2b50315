"""A stage counts what its rewriters really read of the target, and nothing else of it."""

import pytest

from compiler.pipeline.cache import Cache
from compiler.stages import Rewriters
from compiler.stages.fingerprint import fingerprint
from rewriters import Contract, RewriterError, Target, graph_rewriter, select
from rewriters.calls import Call

TARGET = Target(backend="onnxruntime", batch=2, versions={"onnx": "1.19"})


@graph_rewriter(contract=Contract.exact)
def reads_the_batch(call, graph):
    """Does something for one item only."""
    return [] if call.target.batch == 1 else call.skip(f"the batch is {call.target.batch}")


@graph_rewriter(contract=Contract.exact)
def reads_nothing(call, graph):
    """Does the same whatever the target is."""
    return []


def run(rewriters: Rewriters) -> dict:
    """Run the rewriters as a stage does, and return what was read."""
    for rewriter in rewriters.selection.graphs:
        rewriter.body(Call(rewriters.selection.target, ""), None)
    return dict(rewriters.read)


def chosen(*rewriters, **target) -> Rewriters:
    return Rewriters.of_graph(select(rewriters, Target(**{**vars(TARGET), **target})))


def test_what_a_rewriter_read_counts_though_its_author_said_nothing_of_it():
    read = run(chosen(reads_the_batch))
    assert read == {"batch": 2}
    assert chosen(reads_the_batch).still_holds(read)
    assert not chosen(reads_the_batch, batch=1).still_holds(read)


def test_what_none_of_them_read_does_not_count():
    read = run(chosen(reads_nothing))
    assert read == {}
    assert chosen(reads_nothing, batch=1, backend="tensorrt").still_holds(read)
    assert chosen(reads_the_batch, backend="tensorrt").still_holds(run(chosen(reads_the_batch)))


def test_each_stage_keeps_a_record_of_its_own():
    selection = select([reads_the_batch], TARGET)
    first, second = Rewriters.of_graph(selection), Rewriters.of_graph(selection)
    run(first)
    assert (first.read, second.read) == ({"batch": 2}, {})


def test_another_rewriter_is_another_key():
    assert chosen(reads_the_batch).chosen != chosen(reads_nothing).chosen
    with pytest.raises(RewriterError, match="no rewriter 'nowhere'"):
        select([reads_nothing], TARGET, disable=["nowhere"])


def find(cache: Cache, rewriters: Rewriters):
    """Run a stage that applies rewriters, or find it."""

    def make(folder):
        run(rewriters)
        return ""

    return cache.get("rewrite", fingerprint(rewriters), make, rewriters)


def test_to_look_for_a_result_is_not_to_read_the_target(tmp_path):
    cache = Cache(tmp_path)
    one, other = (find(cache, chosen(reads_the_batch, batch=batch)) for batch in (1, 2))
    assert (one.read, other.read) == ({"batch": 1}, {"batch": 2})
    elsewhere = find(cache, chosen(reads_the_batch, batch=2, backend="tensorrt"))
    assert (elsewhere.cached, elsewhere.folder) == (True, other.folder)


def of_one_kind(backend: str):
    @graph_rewriter(contract=Contract.exact, backends={backend})
    def made_for_a_backend(call, graph):
        """Differs by what it was made with."""
        return []

    return made_for_a_backend


def test_rewriters_that_one_function_makes_are_told_apart():
    first, second = (chosen(of_one_kind(backend), backend=backend) for backend in ("onnxruntime", "tensorrt"))
    assert fingerprint(first) != fingerprint(second)
    assert fingerprint(first) == fingerprint(chosen(of_one_kind("onnxruntime")))
