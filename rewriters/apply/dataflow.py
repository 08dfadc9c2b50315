"""What passes between the modules of a network, seen while it runs."""

from __future__ import annotations

import copy
import weakref
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from rewriters.apply.measure import detached_copy
from rewriters.apply.places import shown
from rewriters.definition import names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Classes = tuple[type, ...]
Shape = tuple[int, ...]
RESHAPES = (torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default)
UNTOLD = ""
"""The place of a call of which only the module is known, and that stands in several places."""


@dataclass(frozen=True)
class Handover:
    """What one module returned, another took, and nothing else read.

    Attributes:
        first: Place of the module that returned it.
        shapes: As returned and as taken, each time.
    """

    first: str
    shapes: tuple[tuple[Shape, Shape], ...]


def handovers(
    network: nn.Module, example: Sequence[Any], first: Classes, second: Classes, inner: str = ""
) -> dict[str, Handover | str]:
    """For each place of a module of the second classes: what it is handed by one of the first, or why that is not so.

    Args:
        network: Stays as it is: a copy runs.
        example: Its arguments, which stay as they are too.
        first: Exactly these classes; of a subclass nobody knows what it does.
        second: As for the first.
        inner: Path of the author's own network in it: reasons name places as that has them.
    """
    places = places_by_module(network)
    found = [place for module, own in places.items() if type(module) in second for place in own]
    if not found or not any(type(module) in first for module in places):
        return dict.fromkeys(found, f"the network has no {names_of(first)}")
    run = copy.deepcopy(network, memo={id(parameter): parameter for parameter in network.parameters()})
    watch = _Watch(run, first, second)
    with torch.no_grad(), watch.hooks(), watch:
        outputs = run(*detached_copy(tuple(example)))
    watch.read(outputs)
    return {place: _told(run, watch, place, first, inner) for place in found}


def places_by_module(network: nn.Module) -> dict[nn.Module, list[str]]:
    """Where each module stands: one place for every name that a module has for it."""
    places: dict[nn.Module, list[str]] = defaultdict(list)
    for path, holder in network.named_modules():
        # A child that stands there twice is two places.
        for name, child in holder._modules.items():
            if child is not None:
                places[child].append(f"{path}.{name}" if path else name)
    return places


@dataclass(eq=False)
class _Returned:
    """What a call of a module of the first classes returned, who took it, and whether anything else read it."""

    place: str
    shape: Shape
    takers: list[str] = field(default_factory=list)
    is_read_otherwise: bool = False


@dataclass(eq=False)
class _Running:
    """A call of a module; of the second classes, with what it took."""

    module: nn.Module
    place: str
    taken: _Returned | None = None


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator that reads a tensor, and between them every call of a module."""

    def __init__(self, network: nn.Module, first: Classes, second: Classes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.network, self.first, self.second = network, first, second
        self.places = places_by_module(network)
        self.holders = {
            place: network.get_submodule(place.rpartition(".")[0]) for own in self.places.values() for place in own
        }
        self.owners: dict[int, set[nn.Module]] = defaultdict(set)
        for module in self.places:
            if type(module) in (*first, *second):
                for tensor in (*module.parameters(), *module.buffers()):
                    self.owners[id(tensor)].add(module)
        self.running: list[_Running] = []
        self.tensors: dict[int, _Returned] = {}
        self.returned: dict[str, list[_Returned]] = defaultdict(list)
        self.taken: dict[str, list[tuple[_Returned | None, Shape]]] = defaultdict(list)
        self.read_elsewhere: set[nn.Module] = set()
        self.untold: set[nn.Module] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing is compiled here, and to keep its compiler out torch would import it, which takes seconds.
        return False

    def hooks(self) -> ExitStack:
        """See the calls of modules, within a `with` block."""
        stack = ExitStack()
        for module in self.network.modules():
            stack.callback(module.register_forward_pre_hook(self._enter, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(self._leave).remove)
        return stack

    def read(self, values: Any) -> None:
        """Note that something which is no module reads these."""
        for tensor in _tensors(values):
            if returned := self.tensors.get(id(tensor)):
                returned.is_read_otherwise = True

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        reader = self.running[-1] if self.running else None
        for tensor in _tensors((args, kwargs)):
            owners = self.owners.get(id(tensor), set())
            if reader is None or reader.module not in owners:
                self.read_elsewhere |= owners
            returned = self.tensors.get(id(tensor))
            if returned is None or (reader is not None and reader.taken is returned):
                continue
            if func in RESHAPES:
                self._follow(result, returned)
            else:
                returned.is_read_otherwise = True
        return result

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        running = _Running(module, self._place_of(module))
        if type(module) in self.second:
            given = _tensors((args, kwargs))
            running.taken = self.tensors.get(id(given[0])) if len(given) == 1 else None
            if running.taken:
                running.taken.takers.append(running.place)
            self.taken[running.place].append((running.taken, tuple(given[0].shape) if given else ()))
        self.running.append(running)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        running = self.running.pop()
        if type(module) in self.first and isinstance(output, Tensor):
            returned = _Returned(running.place, tuple(output.shape))
            self.returned[running.place].append(returned)
            self._follow(output, returned)

    def _follow(self, tensor: Tensor, returned: _Returned) -> None:
        self.tensors[id(tensor)] = returned
        # An id is another's once its tensor is gone; to keep them all would take the memory of the whole network.
        weakref.finalize(tensor, self.tensors.pop, id(tensor), None)

    def _place_of(self, module: nn.Module) -> str:
        places = self.places.get(module, [])
        if len(places) == 1:
            return places[0]
        # Of several, it is the one in the module that makes the call.
        for running in reversed(self.running):
            if own := [place for place in places if self.holders[place] is running.module]:
                places = own
                break
        if len(places) == 1:
            return places[0]
        self.untold.add(module)
        return UNTOLD


def _told(network: nn.Module, watch: _Watch, place: str, first: Classes, inner: str) -> Handover | str:
    """What was seen of a module of the second classes."""
    for objection in _objections(network, watch, place, first, inner):
        return objection
    taken = [(returned, shape) for returned, shape in watch.taken[place] if returned]
    shapes = dict.fromkeys((returned.shape, shape) for returned, shape in taken)
    return Handover(taken[0][0].place, tuple(shapes))


def _objections(network: nn.Module, watch: _Watch, place: str, first: Classes, inner: str) -> Iterator[str]:
    if network.get_submodule(place) in watch.untold:
        yield "it stands in several places, and which of them is called cannot be told"
    given = [returned for returned, _ in watch.taken[place]]
    if not given:
        yield "the network does not call it"
    if None in given:
        yield f"its input is not the output of a {names_of(first)}"
    sources = {returned.place for returned in given if returned}
    if len(sources) > 1:
        yield "its input is the output of several modules"
    if UNTOLD in sources:
        yield "its input is the output of a module in several places, and which of them is called cannot be told"
    returned_there = [returned for source in sources for returned in watch.returned[source]]
    if any(returned.is_read_otherwise or returned.takers != [place] for returned in returned_there):
        yield "something else reads its input too"
    for one in (*sources, place):
        yield from _why_not_alone(watch, shown(one, inner), network.get_submodule(one))


def _why_not_alone(watch: _Watch, place: str, module: nn.Module) -> Iterator[str]:
    """Why a module is more than its class."""
    if module._forward_hooks or module._forward_pre_hooks:
        yield f"{place} has hooks"
    if "forward" in vars(module):
        yield f"{place} has a forward of its own"
    if module in watch.read_elsewhere:
        yield f"the weights of {place} are read elsewhere too"


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Tensor)]
