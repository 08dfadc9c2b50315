"""Rewriting the function calls of a network while it runs or is exported."""

from __future__ import annotations

import inspect
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

from rewriters.apply.measure import detached_copy, is_measurable, max_absolute_error, size
from rewriters.apply.places import shown
from rewriters.apply.results import checked_result
from rewriters.calls import FunctionCall, Skip
from rewriters.errors import RewriterCodeError
from rewriters.failures import blaming, causes, failure_of
from rewriters.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import nn

    from rewriters.apply.networks import RewrittenNetwork
    from rewriters.apply.replacements import Replacement
    from rewriters.definition import FunctionRewriter, Rewriter
    from rewriters.registry import Selection

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@contextmanager
def rewriting(rewritten: RewrittenNetwork, measure: bool = False) -> Iterator[Ledger]:
    """Apply the function rewriters to every call of `rewritten.network`, eager or exported, within a `with` block.

    Nothing is patched: a torch function mode sees the calls, and hooks, which are gone afterwards, see the modules.

    Args:
        rewritten: The network after its module rewriters.
        measure: Also run the original of everything that is rewritten, and record the difference.

    Yields:
        The ledger, which fills up while the network runs.

    Raises:
        RewriterCodeError: A rewriter raised, or gave what it must not; or a module that it made did.
    """
    selection = rewritten.selection
    ledger = Ledger(selection.of_network)
    for replacement in rewritten.replacements:
        ledger.fired(replacement.rewriter, replacement.where)
    for skipped in rewritten.skipped:
        ledger.skipped(skipped.rewriter, skipped.where, skipped.reason)
    mode = _RewritingMode(selection, ledger, measure)
    with ExitStack() as stack:
        for replacement in rewritten.replacements:
            stack.enter_context(_watching(replacement))
            if measure:
                stack.enter_context(_comparing(replacement, mode))
        stack.enter_context(_tracking(rewritten, mode))
        stack.enter_context(mode)
        yield ledger


class _RewritingMode(TorchFunctionMode):
    """Hands the calls of rewritten functions to their rewriters."""

    def __init__(self, selection: Selection, ledger: Ledger, measure: bool) -> None:
        super().__init__()
        self.target = selection.target
        self.rewriters = {rewriter.function: rewriter for rewriter in selection.functions}
        self.ledger = ledger
        self.measure = measure
        self.path: list[str] = []
        self.running: list[FunctionRewriter] = []
        self.recording = True

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        rewriter = self.rewriters.get(func)
        # Exporters call torch functions of their own; only those within the network's forward are the network's.
        if rewriter is None or rewriter in self.running or not self.path:
            return func(*args, **kwargs)
        measured = self.measure and self.recording and is_measurable()
        reference = detached_copy((args, kwargs)) if measured else None
        call = FunctionCall(self.target, self.path[-1], func)
        result = checked_result(self._run(rewriter, call, args, kwargs), rewriter, call)
        if isinstance(result, Skip):
            if self.recording:
                self.ledger.skipped(rewriter, call.where, result.reason)
            return func(*args, **kwargs)
        if self.recording:
            self.ledger.fired(rewriter, call.where)
        if reference is not None:
            expected = func(*reference[0], **reference[1])
            self.record_error(rewriter, call.where, expected, result)
        return result

    def _run(
        self, rewriter: FunctionRewriter, call: FunctionCall, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        # Torch leaves a mode while it handles a call. Entering it again lets the other rewriters see what this one
        # calls; that it is running keeps it from seeing itself.
        self.running.append(rewriter)
        try:
            with self, blaming(rewriter, call.where):
                return rewriter.body(call, *args, **kwargs)
        finally:
            self.running.pop()

    def record_error(self, rewriter: Rewriter, where: str, expected: Any, actual: Any) -> None:
        """Measure a difference and note it in the ledger."""
        with blaming(rewriter, where):
            self.ledger.measured(rewriter, max_absolute_error(expected, actual), size(expected))


@contextmanager
def _tracking(rewritten: RewrittenNetwork, mode: _RewritingMode) -> Iterator[None]:
    """Keep the path of the module that is running, as its author has it, as the last item of `mode.path`."""

    def enter(where: str) -> Callable[..., None]:
        return lambda module, args: mode.path.append(where)

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        mode.path.pop()

    with ExitStack() as stack:
        for place, module in rewritten.network.named_modules():
            where = shown(place, rewritten.inner)
            stack.callback(module.register_forward_pre_hook(enter(where), prepend=True).remove)
            # Called even where forward raises: a caller may catch the error and run the network again.
            stack.callback(module.register_forward_hook(leave, always_call=True).remove)
        yield


@contextmanager
def _comparing(replacement: Replacement, mode: _RewritingMode) -> Iterator[None]:
    """Run the original of a replaced module on each input of the replacement, and record the difference."""
    inputs: list[Arguments | None] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inputs.append(detached_copy((args, kwargs)) if mode.recording and is_measurable() else None)

    def after(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        given = inputs.pop()
        if given is None or output is None:
            return
        # The function rewriters stay active, so that only the module rewriter's own difference is measured.
        mode.recording = False
        try:
            expected = replacement.original(*given[0], **given[1])
        finally:
            mode.recording = True
        mode.record_error(replacement.rewriter, replacement.where, expected, output)

    with ExitStack() as stack:
        module = replacement.module
        stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
        stack.callback(module.register_forward_hook(after, with_kwargs=True, always_call=True).remove)
        yield


@contextmanager
def _watching(replacement: Replacement) -> Iterator[None]:
    """Blame a rewriter for what is raised within the module that it made."""
    raised: list[BaseException] = []

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        # Called where forward raises, too; the error that passes is the one being handled then.
        if output is None and (error := sys.exc_info()[1]) is not None:
            raised.append(error)

    handle = replacement.module.register_forward_hook(after, always_call=True)
    made_in = inspect.getsourcefile(type(replacement.module)) or ""
    try:
        yield
    except RewriterCodeError:
        raise
    except Exception as error:
        if any(one in raised for one in causes(error)):
            raise failure_of(replacement.rewriter, replacement.where, error, made_in) from error
        raise
    finally:
        handle.remove()
